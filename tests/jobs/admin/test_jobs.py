"""Jobs and attempts in the admin."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from jobs.core.states import State
from jobs.ledger import attempts
from jobs.models import Attempt, Job, OperatorAction
from tests.jobs import verbs
from tests.jobs.people import operator, viewer
from tests.jobs.rows import LEASE, claimed, in_state, written

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/jobs/job/"


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def state(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


def test_the_list_shows_state_tries_and_the_latest_error() -> None:
    job = in_state(State.RETRYING)
    shown = page(viewer(), LIST)
    for word in (str(job.pk), '<span class="state retrying">', "1/6", "ValueError: it failed"):
        assert word in shown


@pytest.mark.parametrize("query", [{"state": "dead"}, {"queue": "tests.other"}, {"task": "tests.tasks_app.tasks.note"}])
def test_filters_leave_what_matches(query: dict[str, str]) -> None:
    wanted = claimed(queue="tests.other", task="tests.tasks_app.tasks.note")
    assert verbs.die(wanted.pk, LEASE, attempts.Failure("ValueError", "it failed"))
    other = written()
    shown = page(viewer(), LIST, **query)
    assert str(wanted.pk) in shown
    assert str(other.pk) not in shown


def test_search_finds_ids_correlations_arguments_and_errors() -> None:
    wanted = written(kwargs=json.dumps({"name": "violin"}), correlation_id="abc", task="tests.tasks_app.tasks.note")
    other = written()
    client = viewer()
    for term in (str(wanted.pk), "abc", "VIOLIN"):
        shown = page(client, LIST, q=term)
        assert str(wanted.pk) in shown
        assert f"/{other.pk}/" not in shown


def test_a_job_is_shown_with_its_attempts_and_cannot_be_edited() -> None:
    job = in_state(State.DEAD)
    client = operator()
    shown = page(client, f"{LIST}{job.pk}/change/")
    assert "Traceback" in shown
    assert 'name="_save"' not in shown
    assert client.post(f"{LIST}{job.pk}/change/", {"state": "queued"}).status_code == 403
    assert client.post(f"{LIST}{job.pk}/delete/", {"post": "yes"}).status_code == 403


def test_what_a_task_hides_is_shown_nowhere_and_found_by_nobody() -> None:
    job = claimed(task="tests.tasks_app.tasks.discreet", kwargs=json.dumps({"name": "violin", "secret": "hunter2"}))
    client = viewer()
    assert "hunter2" not in page(client, LIST)
    shown = page(client, f"{LIST}{job.pk}/change/")
    assert "hunter2" not in shown
    assert "violin" in shown
    assert str(job.pk) not in page(client, LIST, q="hunter2")


@pytest.mark.parametrize(
    "action, before, after", [("retry", State.DEAD, "queued"), ("cancel", State.QUEUED, "cancelled")]
)
def test_an_action_asks_first_and_says_how_many(action: str, before: State, after: str) -> None:
    job, other = in_state(before), in_state(State.RUNNING if action == "retry" else State.SUCCEEDED)
    client = operator()
    chosen = {"action": action, "_selected_action": [str(job.pk), str(other.pk)]}
    asked = client.post(LIST, chosen).content.decode()
    assert "concerns 1 of them" in asked
    assert state(job) == before
    answer = client.post(LIST, {**chosen, "confirmed": "1"}, follow=True).content.decode()
    assert "1 of 2 jobs" in answer
    assert state(job) == after
    assert OperatorAction.objects.get().actor == "bob@example.com"


def test_all_that_match_can_be_chosen() -> None:
    jobs = [in_state(State.DEAD) for _ in range(3)]
    other = in_state(State.CANCELLED)
    chosen = {"action": "retry", "_selected_action": [str(jobs[0].pk)], "select_across": "1", "confirmed": "1"}
    operator().post(f"{LIST}?state=dead", chosen)
    assert {state(job) for job in jobs} == {"queued"}
    assert state(other) == "cancelled"


def test_a_viewer_is_offered_no_action_and_refused_one() -> None:
    job = in_state(State.DEAD)
    client = viewer()
    assert 'value="retry"' not in page(client, LIST)
    client.post(LIST, {"action": "retry", "_selected_action": [str(job.pk)], "confirmed": "1"})
    assert state(job) == "dead"


def test_attempts_are_listed_and_found_by_their_job() -> None:
    job, other = in_state(State.DEAD), in_state(State.RETRYING)
    client = viewer()
    shown = page(client, reverse("admin:jobs_attempt_changelist"), q=str(job.pk))
    assert str(job.pk) in shown
    assert str(other.pk) not in shown
    attempt = Attempt.objects.get(job=job)
    assert "Traceback" in page(client, f"/admin/jobs/attempt/{attempt.pk}/change/")
