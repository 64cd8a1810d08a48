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


def pages(job: Job, letter: DeadLetter) -> list[str]:
    return [
        *(f"/jobs/{job.pk}/", f"/jobs/{job.pk}/json", "/jobs/list/", f"/jobs/dead/{letter.pk}/", "/jobs/dead/list/"),
        *("/admin/jobs/job/", f"/admin/jobs/job/{job.pk}/change/", f"/admin/jobs/deadletter/{letter.pk}/change/"),
    ]


def stored(kwargs: str) -> tuple[Job, DeadLetter]:
    return waiting(task=NOTE, kwargs=kwargs), dead_letter(task=NOTE, kwargs=json.loads(kwargs))


@pytest.mark.parametrize("depth", [1, 20, 63, 64, 80, 200, 800])
@pytest.mark.parametrize("shape", ["list", "object"])
def test_arguments_of_any_depth_are_shown(operator: Client, api: Api, depth: int, shape: str) -> None:
    job, letter = stored(nested(depth, shape))
    for page in pages(job, letter):
        assert operator.get(page).status_code == 200, page
    answers = [api.get("jobs").json()["jobs"][0], api.get(f"jobs/{job.pk}").json()]
    answers.append(api.get("dead-letters").json()["dead_letters"][0])
    whole = json.loads(nested(depth, shape))
    for answer in answers:
        assert (answer["kwargs"] == whole) == (depth <= DEEPEST)
        assert (TOO_DEEP in json.dumps(answer)) == (depth > DEEPEST)


@pytest.mark.parametrize(
    "value",
    [list(range(60_000)), {f"k{n}": n for n in range(20_000)}, [[[0] * 100] * 50] * 10],
    ids=["list", "object", "both"],
)
def test_a_page_shows_so_many_values(operator: Client, value: Any) -> None:
    job, letter = stored(json.dumps({"effect": value, "last": "x"}))
    for page in pages(job, letter):
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
