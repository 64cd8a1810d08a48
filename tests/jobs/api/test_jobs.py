"""`GET /api/jobs`, `GET /api/jobs/{id}` and the actions."""

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs.core.states import State
from jobs.ledger import attempts
from jobs.models import Job, OperatorAction
from jobs.operations.job_json import job_json
from jobs.reports import listing
from tests.jobs import verbs
from tests.jobs.api.conftest import Api, errors
from tests.jobs.rows import LEASE, claimed, in_state, stepped, written

pytestmark = pytest.mark.django_db(transaction=True)


def ids(response: Any) -> list[str]:
    return [job["id"] for job in response.json()["jobs"]]


def state(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


@pytest.mark.parametrize(
    "query",
    [
        {"state": "dead"},
        {"state": ["dead", "running"]},
        {"queue": "tests.other"},
        {"task": "tests.tasks_app.tasks.note"},
        {"q": "VIOLIN"},
        {"q": "it failed"},
        {"correlation_id": "abc"},
        {"created_after": (timezone.now() - timedelta(minutes=30)).isoformat()},
    ],
)
def test_a_filter_leaves_what_matches(api: Api, query: dict[str, Any]) -> None:
    wanted = claimed(
        queue="tests.other",
        task="tests.tasks_app.tasks.note",
        kwargs=json.dumps({"name": "violin"}),
        correlation_id="abc",
    )
    assert verbs.die(wanted.pk, LEASE, attempts.Failure("ValueError", "it failed"))
    other = in_state(State.SUCCEEDED)
    Job.objects.filter(pk=other.pk).update(created_at=F("created_at") - timedelta(hours=1))
    assert ids(api.get("jobs", **query)) == [str(wanted.pk)]


def test_a_time_before_which_is_left_out(api: Api) -> None:
    older, newer = written(), written()
    Job.objects.filter(pk=older.pk).update(created_at=F("created_at") - timedelta(hours=1))
    before = (timezone.now() - timedelta(minutes=30)).isoformat()
    assert ids(api.get("jobs", created_before=before)) == [str(older.pk)]
    assert ids(api.get("jobs")) == [str(newer.pk), str(older.pk)]


def test_a_time_may_have_any_offset(api: Api) -> None:
    job = written()
    assert ids(api.get("jobs", created_after="0452-02-11T17:18:17.566005+23:24")) == [str(job.pk)]


def test_pages_stay_what_they_are_while_jobs_arrive(api: Api) -> None:
    jobs = [str(written().pk) for _ in range(7)]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        response = api.get("jobs", limit=3, cursor=cursor)
        found += ids(response)
        cursor = response.json()["next_cursor"]
        written()
    assert [found.count(job) for job in jobs] == [1] * 7
    assert len(found) == len(set(found))


def test_a_long_search_says_how_far_it_looked_and_goes_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FIRST_REACH", 3)
    monkeypatch.setattr("jobs.api.jobs.LOOK_SECONDS", 0.0)
    wanted = written(kwargs='{"name": "violin"}')
    Job.objects.update(created_at=F("created_at") - timedelta(seconds=1))
    newer = [written() for _ in range(3)]
    first = api.get("jobs", q="violin").json()
    assert (first["jobs"], parse_datetime(first["looked_back_to"])) == ([], newer[0].created_at)
    second = api.get("jobs", q="violin", cursor=first["next_cursor"])
    assert (ids(second), second.json()["looked_back_to"]) == ([str(wanted.pk)], None)


@pytest.mark.parametrize("text", ["zÜrich", "5 %", "a_b", "back\\slash"])
def test_a_text_is_found_in_any_case_and_to_the_letter(api: Api, text: str) -> None:
    wanted = claimed()
    assert verbs.die(wanted.pk, LEASE, attempts.Failure("ValueError", f"<{text}>"))
    other = claimed()
    assert verbs.die(other.pk, LEASE, attempts.Failure("ValueError", "<zurich 5 a b aXb backslash>"))
    assert ids(api.get("jobs", q=text)) == ids(api.get("jobs", q=text.replace("z", "Z"))) == [str(wanted.pk)]


@pytest.mark.parametrize(
    "query, field",
    [
        ({"limit": 0}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"state": "ended"}, "state.0"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_after": "9999-12-31T23:59:59-10:00"}, "created_after"),
        ({"colour": "red"}, "colour"),
        ({"q": "\x00"}, "q"),
    ],
)
def test_a_wrong_query_names_field_and_value(api: Api, query: dict[str, Any], field: str) -> None:
    response = api.get("jobs", **query)
    assert response.status_code == 422
    ((name, value, rule),) = errors(response)
    assert name == field
    assert value == str(*query.values())
    assert rule


def test_a_job_is_shown_with_its_attempts(api: Api) -> None:
    job = in_state(State.DEAD)
    answer = api.get(f"jobs/{job.pk}").json()
    assert answer["state"] == "dead"
    (attempt,) = answer["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["error"]) == (1, "dead", "it failed")


def test_a_job_reads_as_in_its_live_events(api: Api) -> None:
    job = in_state(State.DEAD)
    (listed,) = api.get("jobs").json()["jobs"]
    assert listed == job_json(job)


def test_positional_arguments_have_their_names(api: Api) -> None:
    job = written(task="tests.tasks_app.tasks.discreet", args='["a", "hunter2"]')
    assert api.get(f"jobs/{job.pk}").json()["kwargs"] == {"name": "a", "secret": "[redacted]"}


@pytest.mark.parametrize("path", ["jobs/{}", "jobs/nonsense", "nowhere", "dead-letters/{}"])
def test_what_is_not_there_is_said_so(api: Api, path: str) -> None:
    response = api.get(path.format(uuid.uuid4()))
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"


def test_a_body_that_is_no_json_is_told_why(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.token}"}
    response = api.client.post("/api/jobs", b"{nope", content_type="application/json", headers=headers)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("The body must be JSON: Expecting property name")


FORMS = {
    "application/x-www-form-urlencoded": ("task=x", ""),
    "multipart/form-data; boundary=b": (
        '--b\r\nContent-Disposition: form-data; name="task"\r\n\r\nx\r\n--b--\r\n',
        "--b--\r\n",
    ),
}


@pytest.mark.parametrize("content_type", FORMS)
def test_a_form_is_told_that_json_is_meant_and_an_empty_one_is_no_body(api: Api, content_type: str) -> None:
    filled, empty = FORMS[content_type]
    headers = {"Authorization": f"Bearer {api.token}"}
    response = api.client.post("/api/jobs", filled, content_type=content_type, headers=headers)
    assert response.status_code == 415
    assert response.json()["detail"].startswith("The body must be JSON (Content-Type: application/json)")
    job = in_state(State.DEAD)
    response = api.client.post(f"/api/jobs/{job.pk}/retry", empty, content_type=content_type, headers=headers)
    assert (response.status_code, response.json()["state"]) == (200, "queued")


def test_a_wrong_method_is_told_the_right_one(api: Api) -> None:
    response = api.client.delete("/api/jobs", headers={"Authorization": f"Bearer {api.token}"})
    assert response.status_code == 405
    assert set(response["Allow"].split(", ")) >= {"GET", "POST"}
    assert response["Content-Type"] == "application/problem+json"


def test_a_job_is_retried(api: Api) -> None:
    job = in_state(State.DEAD)
    assert api.post(f"jobs/{job.pk}/retry").json()["state"] == "queued"
    action = OperatorAction.objects.get(action="retry")
    assert (action.actor, action.count) == ("token test", 1)


def test_a_job_is_cancelled(api: Api) -> None:
    job = written()
    assert api.post(f"jobs/{job.pk}/cancel").json()["state"] == "cancelled"


@pytest.mark.parametrize("verb, before", [("retry", State.RUNNING), ("cancel", State.SUCCEEDED)])
def test_a_state_that_does_not_allow_it_is_a_conflict(api: Api, verb: str, before: State) -> None:
    job = in_state(before)
    response = api.post(f"jobs/{job.pk}/{verb}")
    assert response.status_code == 409
    assert before in response.json()["detail"]
    assert api.post(f"jobs/{uuid.uuid4()}/{verb}").status_code == 404


def test_all_that_match_are_counted_first_and_then_changed(api: Api) -> None:
    jobs, other = [in_state(State.DEAD) for _ in range(3)], in_state(State.CANCELLED)
    body = {"action": "retry", "filter": {"state": ["dead"]}, "dry_run": True}
    assert api.post("jobs/actions", body).json() == {"matched": 3, "changed": 0, "dry_run": True}
    assert {state(job) for job in jobs} == {"dead"}
    body["dry_run"] = False
    assert api.post("jobs/actions", body).json() == {"matched": 3, "changed": 3, "dry_run": False}
    assert {state(job) for job in jobs} == {"queued"}
    assert state(other) == "cancelled"


def test_jobs_are_cancelled_by_id_argument_and_text(api: Api) -> None:
    task = "tests.tasks_app.tasks.note"
    jobs = [written(task=task, kwargs=json.dumps({"effect": name})) for name in ("a", "b", "c")]
    for chosen in ({"ids": [str(jobs[0].pk)]}, {"kwargs": {"effect": "b"}}, {"q": "c", "task": task}):
        body = {"action": "cancel", "filter": chosen}
        assert api.post("jobs/actions", body).json()["changed"] == 1
    assert {state(job) for job in jobs} == {"cancelled"}


@pytest.mark.parametrize("chosen", [{}, {"ids": []}, {"colour": "red"}, {"ids": ["nonsense"]}])
def test_an_action_must_say_which(api: Api, chosen: dict[str, Any]) -> None:
    job = in_state(State.DEAD)
    assert api.post("jobs/actions", {"action": "retry", "filter": chosen}).status_code == 422
    assert state(job) == "dead"


def test_an_unknown_action_is_refused(api: Api) -> None:
    assert api.post("jobs/actions", {"action": "delete", "filter": {"state": ["dead"]}}).status_code == 422


def test_a_jobs_steps_are_shown_with_it(api: Api) -> None:
    shown = api.get(f"jobs/{stepped().pk}").json()["steps"]
    assert [(one["number"], one["name"], one["value"]) for one in shown] == [(1, "charge", 1), (2, "send <b>", 2)]
    assert shown[0].keys() == {
        *("number", "name", "attempt", "value", "rows_done", "is_complete", "started_at", "finished_at")
    }


def test_what_a_task_hides_is_hidden_in_its_steps(api: Api) -> None:
    job = stepped()
    Job.objects.filter(pk=job.pk).update(task="tests.tasks_app.tasks.confide", kwargs={"secret": "charge"})
    shown = api.get(f"jobs/{job.pk}").json()["steps"]
    assert (shown[0]["name"], shown[0]["value"]) == ("[redacted]", "[redacted]")


def test_a_job_is_retried_from_a_step(api: Api) -> None:
    job = stepped()
    assert api.post(f"jobs/{job.pk}/retry", {"from_step": 2}).json()["state"] == "queued"
    assert list(job.steps.values_list("number", flat=True)) == [1]


@pytest.mark.parametrize(
    "body", [{"from_step": 3}, {"from_step": 0}, {"from_step": "1"}, {"step": 1}, {"from_step": 1e9}]
)
def test_a_step_that_is_not_there_is_refused(api: Api, body: dict[str, Any]) -> None:
    job = stepped()
    assert api.post(f"jobs/{job.pk}/retry", body).status_code == 422
    assert (state(job), job.steps.count()) == ("dead", 2)
