"""Retry and cancel, replay and discard: counted first, confirmed, done to what was chosen, recorded."""

import json
import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobs.core.states import State
from jobs.models import DeadLetter, Job, OperatorAction
from tests.jobs.dashboard.letters import letter
from tests.jobs.rows import in_state, stepped, written

RETRY, CANCEL = "/jobs/retry", "/jobs/cancel"

pytestmark = pytest.mark.usefixtures("valkey")


def state(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_one_dead_job_is_retried_at_once(operator: Client) -> None:
    job = in_state(State.DEAD)
    page = reverse("jobs:job", args=[job.pk])
    answer = operator.post(RETRY, {"id": job.pk, "next": page}, follow=True)
    assert answer.redirect_chain == [(page, 302)]
    assert said(answer) == "Retried 1 job."
    assert state(job) == "queued"


@pytest.mark.parametrize(
    "address, before", [(RETRY, State.SUCCEEDED), (CANCEL, State.RUNNING)], ids=["runs again", "is ended at work"]
)
def test_what_cannot_be_undone_is_asked_first(operator: Client, address: str, before: State) -> None:
    job = in_state(before) if before is State.SUCCEEDED else running()
    answer = operator.post(address, {"id": job.pk})
    assert answer.status_code == 200
    assert answer.context["matched"] == 1
    assert state(job) == before


def running() -> Job:
    from tests.jobs.rows import claimed  # noqa: PLC0415

    return claimed()


def test_dead_jobs_are_discarded_with_their_letters(operator: Client) -> None:
    dead, other = letter(), letter()
    chosen = {"all": "1", "q": f"state:dead id:{dead.job_id}"}
    assert b"Discard 1 dead letter?" in operator.post("/jobs/discard", chosen).content
    answer = operator.post("/jobs/discard", {**chosen, "confirmed": "1"}, follow=True)
    assert said(answer) == "Discarded 1 dead letter."
    assert list(DeadLetter.objects.filter(discarded_at=None)) == [other]
    assert Job.objects.filter(state=State.DEAD).count() == 2
    action = OperatorAction.objects.get()
    assert (action.action, action.count, action.target["ids"]) == ("discard", 1, [str(dead.job_id)])
    assert b"Nothing was chosen" not in operator.post("/jobs/discard", chosen, follow=True).content


def test_many_are_counted_confirmed_and_reported(operator: Client) -> None:
    jobs = [in_state(State.DEAD) for _ in range(3)]
    chosen = {"id": [str(job.pk) for job in jobs]}
    answer = operator.post(RETRY, chosen)
    assert b"Retry 3 jobs?" in answer.content
    assert {state(job) for job in jobs} == {"dead"}
    answer = operator.post(RETRY, {**chosen, "confirmed": "1"}, follow=True)
    assert said(answer) == "Retried 3 jobs."
    assert {state(job) for job in jobs} == {"queued"}


def test_all_that_match_are_chosen_by_the_search_line(operator: Client) -> None:
    matching = [in_state(State.DEAD) for _ in range(2)]
    other = in_state(State.CANCELLED)
    form = {"all": "1", "q": "state:dead"}
    assert b"Retry 2 jobs?" in operator.post(RETRY, form).content
    operator.post(RETRY, {**form, "confirmed": "1"})
    assert {state(job) for job in matching} == {"queued"}
    assert state(other) == "cancelled"
    record = OperatorAction.objects.get()
    assert (record.action, record.target, record.count) == ("retry", {"states": ["dead"]}, 2)


def test_a_line_that_cannot_be_meant_changes_nothing(operator: Client) -> None:
    job = in_state(State.DEAD)
    answer = operator.post(RETRY, {"all": "1", "q": "state:ded", "confirmed": "1"}, follow=True)
    assert "is no state" in said(answer)
    assert state(job) == "dead"


def test_nothing_chosen_is_said(operator: Client) -> None:
    assert "Nothing was chosen" in said(operator.post(RETRY, follow=True))
    assert "Nothing was chosen" in said(operator.post(RETRY, {"id": "nonsense"}, follow=True))


def test_what_is_in_no_state_for_it_is_said(operator: Client) -> None:
    jobs = [written(), written()]
    answer = operator.post(RETRY, {"id": [job.pk for job in jobs]}, follow=True)
    assert "queued or running already" in said(answer)


def test_a_script_that_only_asks_changes_nothing(operator: Client) -> None:
    job = in_state(State.DEAD)
    assert operator.post(RETRY, {"id": job.pk, "ask": "1"}).status_code == 204
    assert operator.post(RETRY, {"id": job.pk, "ask": "1", "confirmed": "1"}).status_code == 204
    assert state(job) == "dead"


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere(operator: Client, where: str) -> None:
    job = in_state(State.DEAD)
    answer = operator.post(RETRY, {"id": job.pk, "next": where})
    assert answer["Location"] == "/jobs/list/"


def test_a_letter_is_replayed(operator: Client) -> None:
    found = letter()
    operator.post("/jobs/dead/replay", {"id": found.pk})
    found.refresh_from_db()
    assert found.replay_job_id == found.job_id
    assert found.job is not None
    assert state(found.job) == "queued"


def test_letters_of_one_kind_are_replayed_together(operator: Client) -> None:
    alike = [letter(error=f"Refused: <reader{number}@example.com> unknown") for number in range(3)]
    other = letter(error="Refused: greylisted")
    form = {"all": "1", "task": alike[0].task, "reason": "exhausted", "error": "Refused: <…> unknown"}
    assert b"Replay 3 dead letters?" in operator.post("/jobs/dead/replay", form).content
    operator.post("/jobs/dead/replay", {**form, "confirmed": "1"})
    assert DeadLetter.objects.filter(replayed_at=None).get() == other


def test_letters_are_discarded_after_a_question(operator: Client) -> None:
    found = letter()
    assert b"Discard 1 dead letter?" in operator.post("/jobs/dead/discard", {"id": found.pk}).content
    operator.post("/jobs/dead/discard", {"id": found.pk, "confirmed": "1"})
    found.refresh_from_db()
    assert found.discarded_at is not None


def test_a_letter_is_replayed_with_other_arguments(operator: Client) -> None:
    found = letter()
    answer = operator.post(f"/jobs/dead/{found.pk}/replay", {"arguments": '{"effect": "y"}'})
    job = Job.objects.order_by("created_at", "pk").last()
    assert job is not None
    assert answer["Location"] == f"/jobs/{job.pk}/"
    assert (job.kwargs, job.replay_of) == ({"effect": "y"}, found.job_id)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("{", "This is not JSON"),
        ("[1]", "must be a JSON object"),
        ('{"nonsense": 1}', "do not fit the task"),
    ],
)
def test_arguments_that_do_not_fit_are_kept_in_the_form(operator: Client, text: str, problem: str) -> None:
    found = letter()
    answer = operator.post(f"/jobs/dead/{found.pk}/replay", {"arguments": text})
    assert answer.status_code == 422
    assert problem in answer.context["problem"]
    assert answer.context["edited"] == text
    assert Job.objects.count() == 1


def test_what_is_hidden_keeps_its_value(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.tasks_app.tasks import gated  # noqa: PLC0415

    monkeypatch.setattr(gated, "redact", ("gate",))
    found = letter(task=gated.name, args=["before", "/secret/gate"], kwargs={})
    page = operator.get(f"/jobs/dead/{found.pk}/")
    assert b"/secret/gate" not in page.content
    edited = json.loads(page.context["edited"]) | {"effect": "after"}
    operator.post(f"/jobs/dead/{found.pk}/replay", {"arguments": json.dumps(edited)})
    job = Job.objects.order_by("created_at", "pk").last()
    assert job is not None
    assert job.kwargs == {"effect": "after", "gate": "/secret/gate"}


def test_a_letter_that_is_not_there_is_not_found(operator: Client) -> None:
    assert operator.get(f"/jobs/dead/{uuid.uuid4()}/").status_code == 404


def test_a_job_is_replayed_from_a_step_after_a_question(operator: Client) -> None:
    job = stepped()
    page = reverse("jobs:job", args=[job.pk])
    shown = operator.get(page).content.decode()
    assert "send &lt;b&gt;" in shown
    assert shown.count("Replay from here") == 2
    chosen = {"id": job.pk, "from_step": 2, "next": page}
    assert "Replay 1 job?" in operator.post(RETRY, chosen).content.decode()
    assert (state(job), job.steps.count()) == ("dead", 2)
    answer = operator.post(RETRY, {**chosen, "confirmed": "1"}, follow=True)
    assert (said(answer), state(job)) == ("Replayed 1 job.", "queued")
    assert list(job.steps.values_list("name", flat=True)) == ["charge"]
    assert OperatorAction.objects.get(action="retry").target == {"ids": [str(job.pk)], "from_step": 2}


@pytest.mark.parametrize("number", ["3", "0", "-1", "x", "1" * 30, "²"])
def test_a_step_that_is_not_there_is_said(operator: Client, number: str) -> None:
    job = stepped()
    answer = operator.post(RETRY, {"id": job.pk, "from_step": number, "confirmed": "1"}, follow=True)
    assert "no such step" in said(answer)
    assert (state(job), job.steps.count()) == ("dead", 2)
