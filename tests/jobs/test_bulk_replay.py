"""Many dead letters replayed at once: one that does not fit stops no other, and nothing happens unrecorded."""

import pytest

from jobs.core.states import State
from jobs.deadletters.publisher import BrokerGone
from jobs.models import DeadLetter, Job, OperatorAction
from jobs.operations import bulk
from jobs.operations.actions import retry_jobs
from jobs.operations.dead_letter_actions import replay
from jobs.operations.filters import DeadLetterFilter, JobFilter
from tests.jobs.letters import NOTE, dead_letter, letter_of_a_dead_job
from tests.jobs.wire import messages, queue_length
from tests.servers import Valkey
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

ALL = DeadLetterFilter(queue="default")


def test_one_that_does_not_fit_stops_no_other() -> None:
    fitting = [dead_letter(task=NOTE, args=[f"{number}"]) for number in range(2)]
    odd = [dead_letter(task=NOTE, args=["a", "b", "c"]), dead_letter(task=NOTE, kwargs={"nobody": 1})]
    unreadable = dead_letter(task=NOTE, args=[{"__type__": "no-such", "__value__": 1}])
    result = replay(ALL, actor="ann")
    assert (result.matched, result.changed, result.left) == (5, 2, 0)
    assert {refusal.id for refusal in result.refused} == {letter.pk for letter in (*odd, unreadable)}
    assert all(refusal.why for refusal in result.refused)
    assert set(DeadLetter.objects.exclude(replayed_at=None)) == set(fitting)
    action = OperatorAction.objects.get()
    assert (action.actor, action.action, action.count) == ("ann", "replay", 2)


def test_a_plain_tasks_letter_is_delivered_as_it_was(valkey: Valkey) -> None:
    dead_letter(task=tasks.plain.name, args=["again"], headers={"task": tasks.plain.name, "id": "1"})
    assert replay(ALL, actor="ann").changed == 1
    (message,) = messages(valkey, "default")
    assert (message.headers["task"], message.args) == (tasks.plain.name, ["again"])
    assert not Job.objects.exists()


def test_what_ends_amid_an_action_is_recorded_with_what_it_did(valkey: Valkey) -> None:
    letters = [dead_letter(task="no.such.task") for _ in range(2)]
    valkey.stop()
    with pytest.raises(BrokerGone):
        replay(ALL, actor="ann")
    assert OperatorAction.objects.get().count == 0
    first, _ = sorted(letters, key=lambda letter: letter.pk)
    DeadLetter.objects.filter(pk=first.pk).update(task=NOTE, args=["x"])
    result = replay(ALL, actor="ann")
    assert (result.changed, len(result.refused)) == (1, 1)
    assert OperatorAction.objects.first().count == 1  # type: ignore[union-attr]


def test_so_many_that_an_answer_would_be_late_are_done_in_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        dead_letter(task=NOTE, args=[str(number)])
    monkeypatch.setattr(bulk, "MOST_SECONDS", 0.0)
    assert replay(ALL, actor="ann").left == 60
    monkeypatch.undo()
    result = replay(ALL, actor="ann")
    assert (result.matched, result.changed, result.left) == (60, 60, 0)
    assert Job.objects.count() == 60


def test_a_job_that_is_retried_answers_its_letter() -> None:
    letter = letter_of_a_dead_job()
    assert retry_jobs(JobFilter(states=(State.DEAD,)), actor="ann").changed == 1
    letter.refresh_from_db()
    assert (letter.is_open, letter.replay_job_id) == (False, letter.job_id)


def test_many_jobs_are_retried_once_each_though_they_match_again() -> None:
    for _ in range(7):
        letter_of_a_dead_job()
    result = retry_jobs(JobFilter(states=(State.DEAD, State.QUEUED)), actor="ann")
    assert (result.matched, result.changed) == (7, 7)
    assert set(Job.objects.values_list("state", flat=True)) == {State.QUEUED}


def test_nothing_is_sent_for_a_letter_that_is_refused(valkey: Valkey) -> None:
    dead_letter(task=NOTE, args=["a", "b"])
    assert replay(ALL, actor="ann").changed == 0
    assert queue_length(valkey, "default") == 0
