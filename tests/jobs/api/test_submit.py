"""`POST /api/jobs` and `POST /api/jobs/bulk`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.models import Job
from tests.jobs.api.conftest import Api, errors

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

TASKS = "tests.tasks_app.tasks."
FIELDS = {
    *("id", "task", "queue", "state", "kwargs", "priority", "attempt", "max_retries", "run_at", "created_at"),
    *(
        "started_at",
        "finished_at",
        "worker",
        "last_error",
        "correlation_id",
        "parent_id",
        "progress",
        "replay_of",
        "held_by",
        "group_id",
    ),
}


def note(**changes: Any) -> dict[str, Any]:
    return {"task": f"{TASKS}public_note", "kwargs": {"effect": "x"}, **changes}


def test_a_job_is_enqueued_and_returned_whole(api: Api) -> None:
    response = api.post("jobs", note())
    assert response.status_code == 201
    job = response.json()
    assert set(job) == FIELDS
    assert (job["state"], job["queue"], job["kwargs"]) == ("queued", "default", {"effect": "x"})
    assert str(Job.objects.get().pk) == job["id"]


def test_an_annotation_that_nobody_can_resolve_spares_no_other_argument_its_check(api: Api) -> None:
    response = api.post("jobs", {"task": f"{TASKS}bound_note", "kwargs": {"effect": 7}})
    assert errors(response) == [("kwargs.effect", 7, "Input should be a valid string")]
    assert api.post("jobs", {"task": f"{TASKS}bound_note", "kwargs": {"effect": "x"}}).status_code == 201


def test_a_job_is_enqueued_as_asked(api: Api) -> None:
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    body = note(run_at=later, priority=9, queue="tests.other", correlation_id="order-1")
    job = api.post("jobs", body).json()
    assert (job["state"], job["priority"], job["queue"], job["correlation_id"]) == (
        "scheduled",
        9,
        "tests.other",
        "order-1",
    )


@pytest.mark.parametrize("task", [f"{TASKS}note", f"{TASKS}plain", "celery.backend_cleanup", "nonsense"])
def test_only_public_tasks_may_be_submitted(api: Api, task: str) -> None:
    response = api.post("jobs", note(task=task))
    assert response.status_code == 403
    assert f"{TASKS}public_note" in response.json()["detail"]
    assert errors(response) == [("task", task, "must name a public task")]


@pytest.mark.parametrize(
    "kwargs, wrong",
    [
        ({}, [("kwargs.effect", None, "is required")]),
        (
            {"effect": "x", "colour": "red"},
            [("kwargs.colour", "red", "is no argument of the task, which takes: effect, times")],
        ),
        ({"effect": 7}, [("kwargs.effect", 7, "Input should be a valid string")]),
        ({"effect": "x", "times": "2"}, [("kwargs.times", "2", "Input should be a valid integer")]),
        (
            {"times": None, "colour": "red"},
            [
                ("kwargs.times", None, "Input should be a valid integer"),
                ("kwargs.colour", "red", "is no argument of the task, which takes: effect, times"),
                ("kwargs.effect", None, "is required"),
            ],
        ),
    ],
)
def test_arguments_are_checked_field_by_field(
    api: Api, kwargs: dict[str, Any], wrong: list[tuple[str, Any, str]]
) -> None:
    response = api.post("jobs", note(kwargs=kwargs))
    assert response.status_code == 422
    assert sorted(errors(response), key=str) == sorted(wrong, key=str)
    assert not Job.objects.exists()


def test_models_are_checked_to_the_leaf(api: Api) -> None:
    body = {"task": f"{TASKS}deliver", "kwargs": {"address": {"street": "Elm", "number": "many"}}}
    assert errors(api.post("jobs", body)) == [
        ("kwargs.address.number", "many", "Input should be a valid integer"),
    ]
    body["kwargs"] = {"address": {"street": "Elm", "number": 7}}
    assert api.post("jobs", body).status_code == 201


def test_a_hidden_argument_is_repeated_nowhere(api: Api) -> None:
    task = f"{TASKS}discreet"
    refused = api.post("jobs", {"task": task, "kwargs": {"name": "x", "secret": 4711_0815}})
    assert errors(refused) == [("kwargs.secret", "[redacted]", "Input should be a valid string")]
    job = api.post("jobs", {"task": task, "kwargs": {"name": "x", "secret": "hunter2"}}).json()
    assert job["kwargs"] == {"name": "x", "secret": "[redacted]"}
    assert "hunter2" in Job.objects.get().kwargs.values()


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"priority": 10}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"queue": "emial"}, "queue"),
        ({"run_at": "tomorrow"}, "run_at"),
        ({"run_at": "2026-01-01T10:00:00"}, "run_at"),
        ({"correlation_id": "not valid\n"}, "correlation_id"),
        ({"kwargs": [1]}, "kwargs"),
        ({"colour": "red"}, "colour"),
        ({"unique": ""}, "unique.constrained-str"),
    ],
)
def test_options_are_checked(api: Api, changes: dict[str, Any], field: str) -> None:
    response = api.post("jobs", note(**changes))
    assert response.status_code == 422
    assert field in {error[0] for error in errors(response)}


@pytest.mark.parametrize("value", ["\x00", "\ud800"])
def test_text_that_no_database_holds_is_refused(api: Api, value: str) -> None:
    assert api.post("jobs", note(kwargs={"effect": value})).status_code == 422


def test_a_body_that_is_no_json_is_refused(api: Api) -> None:
    for body in ("{", "[" * 100_000):
        assert api.post("jobs", body).status_code == 400


def test_the_same_key_and_body_is_the_same_job(api: Api) -> None:
    first = api.post("jobs", note(), Idempotency_Key="k")
    again = api.post("jobs", note(priority=None), Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert Job.objects.count() == 1


def test_the_same_key_with_another_body_is_a_conflict(api: Api) -> None:
    api.post("jobs", note(), Idempotency_Key="k")
    response = api.post("jobs", note(kwargs={"effect": "y"}), Idempotency_Key="k")
    assert response.status_code == 409
    assert "'k'" in response.json()["detail"]


def test_a_key_is_its_callers_own(api_of: Callable[..., Api]) -> None:
    ids = {api_of("submit").post("jobs", note(), Idempotency_Key="k").json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_while_a_job_with_a_unique_key_waits_it_is_the_answer(api: Api) -> None:
    first = api.post("jobs", note(unique="order:1"))
    again = api.post("jobs", note(kwargs={"effect": "y"}, unique="order:1"))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert api.post("jobs", note(unique="order:2")).status_code == 201
    assert api.post("jobs", note(unique=True)).status_code == 201
    assert api.post("jobs", note(unique=True)).status_code == 200
    assert api.get(f"jobs/{first.json()['id']}").json()["calls"] == 2


def test_many_jobs_are_enqueued_in_order(api: Api) -> None:
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    bodies = [
        note(kwargs={"effect": "a"}),
        {"task": f"{TASKS}discreet", "kwargs": {"name": "b", "secret": "s"}, "run_at": later},
        note(kwargs={"effect": "c"}, priority=1),
        note(kwargs={"effect": "d"}),
    ]
    response = api.post("jobs/bulk", {"jobs": bodies})
    assert response.status_code == 201
    rows = Job.objects.in_bulk(response.json()["ids"], field_name="pk")
    jobs = [rows[key] for key in rows]
    by_id = {str(job.pk): job for job in jobs}
    found = [by_id[key] for key in response.json()["ids"]]
    assert [job.kwargs.get("effect") or job.kwargs["name"] for job in found] == ["a", "b", "c", "d"]
    assert [job.state for job in found] == ["queued", "scheduled", "queued", "queued"]


def test_of_many_jobs_all_are_enqueued_or_none(api: Api) -> None:
    response = api.post("jobs/bulk", {"jobs": [note(), note(kwargs={}), note(priority=3), note(queue="emial")]})
    assert response.status_code == 422
    assert {error[0] for error in errors(response)} == {"jobs.1.kwargs.effect", "jobs.3.queue"}
    assert api.post("jobs/bulk", {"jobs": [note(), note(task=f"{TASKS}note")]}).status_code == 403
    # What only the enqueueing itself finds, in the second group.
    late = [note(), note(kwargs={"effect": "\x00"}, priority=3)]
    assert api.post("jobs/bulk", {"jobs": late}).status_code == 422
    assert not Job.objects.exists()


def test_ten_thousand_jobs_go_in_one_request_and_no_more(api: Api) -> None:
    many = [note()] * 10_000
    assert len(api.post("jobs/bulk", {"jobs": many}).json()["ids"]) == 10_000
    assert Job.objects.count() == 10_000
    assert api.post("jobs/bulk", {"jobs": [*many, note()]}).status_code == 422
    assert api.post("jobs/bulk", {"jobs": []}).status_code == 422


def test_a_body_beyond_all_measure_is_refused(api: Api) -> None:
    assert api.post("jobs", note(kwargs={"effect": "x" * 11_000_000})).status_code == 413
    assert api.post("jobs", note(kwargs={"effect": "x" * 300_000})).status_code == 422


def test_a_key_must_be_one(api: Api) -> None:
    response = api.post("jobs", note(), Idempotency_Key="x" * 256)
    assert [error[0] for error in errors(response)] == ["Idempotency-Key"]
