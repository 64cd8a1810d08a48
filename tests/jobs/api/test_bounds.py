"""However large a request or the jobs it asks for, the answer is bounded, and so is the work."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from jobs.models import Attempt
from jobs.operations.paging import PAGE_BYTES
from tests.jobs.api.conftest import Api, errors
from tests.jobs.letters import dead_letter
from tests.jobs.rows import written
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

#: So many wrong things fit into one body.
MANY = 60_000

NOTE = {"task": tasks.public_note.name, "kwargs": {"effect": "x"}}
UNKNOWN = {f"f{number}": 0 for number in range(MANY)}

WRONG: dict[str, tuple[str, Any]] = {
    "unknown fields": ("jobs", {**NOTE, **UNKNOWN}),
    "unknown arguments": ("jobs", {**NOTE, "kwargs": UNKNOWN}),
    "unknown arguments of a task that hides some": ("jobs", {"task": tasks.discreet.name, "kwargs": UNKNOWN}),
    "wrong parts of an argument": (
        "jobs",
        {"task": tasks.deliver.name, "kwargs": {"address": {"street": 1, "number": list(range(MANY)), **UNKNOWN}}},
    ),
    "wrong jobs": ("jobs/bulk", {"jobs": [1] * 10_000}),
    "jobs with wrong arguments": ("jobs/bulk", {"jobs": [{**NOTE, "kwargs": {"a": 1, "b": 2, "c": 3}}] * 10_000}),
    "jobs with a wrong queue": ("jobs/bulk", {"jobs": [{**NOTE, "queue": "emial"}] * 10_000}),
    "ids that are none": ("jobs/actions", {"action": "retry", "filter": {"ids": ["x"] * 10_000}}),
    "states that are none": ("jobs/actions", {"action": "retry", "filter": {"state": ["x"] * MANY}}),
    "names that are too long": ("jobs/actions", {"action": "retry", "filter": {"kwargs": {"x" * 300_000: 1}}}),
    "one field with a very long name": ("jobs", {**NOTE, "x" * 1_000_000: 1}),
    "large values": ("jobs", {**NOTE, **{f"f{number}": "x" * 5000 for number in range(300)}}),
    "unknown arguments of a replay": ("replay", {"kwargs": UNKNOWN}),
}


@pytest.mark.parametrize("what", WRONG)
def test_at_most_a_hundred_errors_are_answered_and_soon(api: Api, what: str) -> None:
    path, body = WRONG[what]
    if path == "replay":
        path = f"dead-letters/{dead_letter(task=tasks.public_note.name).pk}/replay"
    began = time.process_time()
    answer = api.post(path, body)
    assert answer.status_code == 422, answer.text[:500]
    assert 1 <= len(errors(answer)) <= 100
    assert len(answer.content) < 100_000
    # It took half a minute.
    assert time.process_time() - began < 8


def test_many_unknown_parameters_are_answered_with_a_hundred_errors(api: Api) -> None:
    answer = api.get("jobs", **{f"f{number}": "" for number in range(900)})
    assert (answer.status_code, len(errors(answer))) == (422, 100)
    assert "of more" in answer.json()["detail"]


def test_a_hundred_errors_are_all_of_them(api: Api) -> None:
    answer = api.post("jobs", {**NOTE, **{f"f{number}": 0 for number in range(100)}})
    assert (len(errors(answer)), "99 more" in answer.json()["detail"]) == (100, True)


LARGE = "é" * 100_000


def large_jobs(number: int) -> list[str]:
    return [str(written(kwargs=f'{{"effect": "{LARGE}"}}').pk) for _ in range(number)][::-1]


def large_letters(number: int) -> list[str]:
    return [str(dead_letter(minutes_ago=age, kwargs={"effect": LARGE}).pk) for age in range(number)]


@pytest.mark.parametrize("path, make", [("jobs", large_jobs), ("dead-letters", large_letters)])
def test_a_page_of_large_jobs_ends_early_and_the_next_goes_on(
    api: Api, path: str, make: Callable[[int], list[str]]
) -> None:
    number = PAGE_BYTES // len(LARGE) + 2
    made, found = make(number), list[str]()
    cursor: str | None = ""
    while cursor is not None:
        answer = api.get(path, limit=1000, cursor=cursor)
        assert len(answer.content) < 8 * PAGE_BYTES
        page = answer.json()
        (rows,) = (page[name] for name in ("jobs", "dead_letters") if name in page)
        assert rows
        found += [row["id"] for row in rows]
        cursor = page["next_cursor"]
    assert found == made


def test_a_job_larger_than_a_page_is_one(api: Api) -> None:
    large = written(kwargs=f'{{"effect": "{"x" * (PAGE_BYTES + 1)}"}}')
    small = written()
    first = api.get("jobs", limit=10).json()
    assert [job["id"] for job in first["jobs"]] == [str(small.pk)]
    second = api.get("jobs", limit=10, cursor=first["next_cursor"]).json()
    assert ([job["id"] for job in second["jobs"]], second["next_cursor"]) == ([str(large.pk)], None)


def test_of_many_attempts_the_latest_hundred_are_shown(api: Api) -> None:
    job = written()
    Attempt.objects.bulk_create(Attempt(job=job, number=number, outcome="retrying") for number in range(1, 151))
    attempts = api.get(f"jobs/{job.pk}").json()["attempts"]
    assert [attempt["number"] for attempt in attempts] == list(range(51, 151))
