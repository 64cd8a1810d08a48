"""Arguments deep and wide: every page shows them, in bounds, and nothing is replayed with a part of them."""

import json
from typing import Any

import pytest
from django.test import Client

from jobs.models import DeadLetter, Job
from jobs.operations import tokens
from jobs.operations.job_json import DEEPEST, TOO_DEEP
from tests.jobs.api.conftest import Api
from tests.jobs.letters import dead_letter
from tests.jobs.rows import waiting
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db

NOTE = tasks.note.name


@pytest.fixture
def api(valkey: object) -> Api:
    """The holder of a token that may read."""
    return Api(tokens.create("test", ["read"], by="test")[1])


def nested(depth: int, shape: str) -> str:
    inner = {"list": ("[", "]"), "object": ('{"a":', "}")}[shape]
    return '{"effect": ' + inner[0] * depth + "1" + inner[1] * depth + "}"


LISTS = ("/jobs/list/", "/jobs/dead/list/", "/admin/jobs/job/")


def pages(job: Job, letter: DeadLetter) -> list[str]:
    return [
        *(f"/jobs/{job.pk}/", f"/jobs/{job.pk}/json", f"/jobs/dead/{letter.pk}/"),
        *(f"/admin/jobs/job/{job.pk}/change/", f"/admin/jobs/deadletter/{letter.pk}/change/"),
    ]


def stored(kwargs: str) -> tuple[Job, DeadLetter]:
    return waiting(task=NOTE, kwargs=kwargs), dead_letter(task=NOTE, kwargs=json.loads(kwargs))


@pytest.mark.parametrize("shape", ["list", "object"])
def test_arguments_of_any_depth_are_shown(operator: Client, api: Api, shape: str) -> None:
    rows = {depth: stored(nested(depth, shape)) for depth in (1, 20, 63, 64, 80, 200, 800)}
    for page in (*LISTS, *(page for job, letter in rows.values() for page in pages(job, letter))):
        assert operator.get(page).status_code == 200, page
    listed = {
        one["id"]: one for one in (*api.get("jobs").json()["jobs"], *api.get("dead-letters").json()["dead_letters"])
    }
    for depth, (job, letter) in rows.items():
        whole = json.loads(nested(depth, shape))
        for answer in (listed[str(job.pk)], api.get(f"jobs/{job.pk}").json(), listed[str(letter.pk)]):
            assert (answer["kwargs"] == whole) == (depth <= DEEPEST), depth
            assert (TOO_DEEP in json.dumps(answer)) == (depth > DEEPEST), depth


@pytest.mark.parametrize(
    "value",
    [list(range(60_000)), {f"k{n}": n for n in range(20_000)}, [[[0] * 100] * 50] * 10],
    ids=["list", "object", "both"],
)
def test_a_page_shows_so_many_values(operator: Client, value: Any) -> None:
    job, letter = stored(json.dumps({"effect": value, "last": "x"}))
    for page in (*LISTS, *pages(job, letter)):
        answer = operator.get(page)
        assert answer.status_code == 200
        assert len(answer.content) < 3_000_000, page
    assert " more" in operator.get(f"/jobs/{job.pk}/").text


def test_a_letter_is_not_replayed_with_a_part_of_its_arguments(operator: Client) -> None:
    _, letter = stored(nested(100, "list"))
    edited = operator.get(f"/jobs/dead/{letter.pk}/").context["edited"]
    answer = operator.post(f"/jobs/dead/{letter.pk}/replay", {"arguments": edited})
    assert (answer.status_code, Job.objects.filter(state="queued").count()) == (422, 0)
    assert "deeper than this page shows" in answer.text
