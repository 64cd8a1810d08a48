"""A dead job has its letter, whatever the broker lost; a job that succeeded has none open."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.deadletters.missing import MissingDeadLetters, reason_of
from jobs.models import DeadLetter, Job
from jobs.operations.dead_letter_actions import replay
from jobs.operations.filters import DeadLetterFilter
from tests.jobs.letters import dead_letter
from tests.jobs.rows import in_state

pytestmark = pytest.mark.django_db(transaction=True)


def dead_job(minutes_ago: float = 5, **changes: Any) -> Job:
    job = in_state(State.DEAD)
    finished_at = timezone.now() - timedelta(minutes=minutes_ago)
    values = {"attempt": 6, "max_retries": 5, "last_error": "Broken: it failed", "finished_at": finished_at, **changes}
    Job.objects.filter(pk=job.pk).update(**values)
    job.refresh_from_db()
    return job


def test_a_dead_job_without_a_letter_gets_one_that_can_be_replayed() -> None:
    job = dead_job()
    MissingDeadLetters().mend()
    letter = DeadLetter.objects.get()
    assert (letter.job_id, letter.task, letter.queue, letter.attempt) == (job.pk, job.task, job.queue, 6)
    assert (letter.reason, letter.error, letter.failed_at) == ("exhausted", "Broken: it failed", job.finished_at)
    assert (letter.args, letter.kwargs) == (job.args, job.kwargs)
    assert replay(DeadLetterFilter(ids=(letter.pk,)), actor="ann").changed == 1
    job.refresh_from_db()
    assert job.state == State.QUEUED


def test_it_is_made_once_however_many_look() -> None:
    dead_job()
    for _ in range(3):
        MissingDeadLetters().mend()
    keeper = MissingDeadLetters()
    keeper.mend()
    keeper.mend()
    assert DeadLetter.objects.count() == 1


def test_one_that_may_still_be_on_its_way_is_waited_for() -> None:
    dead_job(minutes_ago=0.1)
    MissingDeadLetters().mend()
    assert not DeadLetter.objects.exists()


def test_an_earlier_death_has_a_letter_of_its_own() -> None:
    job = dead_job(attempt=12, attempt_base=6)
    dead_letter(job=job, attempt=6, replayed_at=timezone.now())
    MissingDeadLetters().mend()
    assert sorted(DeadLetter.objects.values_list("attempt", flat=True)) == [6, 12]


def test_one_that_was_discarded_does_not_come_back() -> None:
    dead_letter(job=dead_job(), attempt=6, discarded_at=timezone.now())
    MissingDeadLetters().mend()
    assert DeadLetter.objects.count() == 1


def test_the_open_letter_of_a_job_that_succeeded_is_closed() -> None:
    job = in_state(State.SUCCEEDED)
    answered, other = dead_letter(job=job), dead_letter(job=dead_job(minutes_ago=0))
    MissingDeadLetters().mend()
    answered.refresh_from_db()
    other.refresh_from_db()
    assert (answered.is_open, answered.replay_job_id) == (False, job.pk)
    assert other.is_open


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"last_error": "Expired: The job's time passed before it could begin."}, Reason.EXPIRED),
        ({"last_error": "Misfit: too many arguments"}, Reason.INVALID),
        ({"last_error": "UnknownTask: nobody knows it"}, Reason.UNKNOWN_TASK),
        ({"last_error": "WorkerLost: it is gone", "worker_losses": 3, "attempt": 3}, Reason.POISON),
        ({"attempt": 2}, Reason.PERMANENT),
        ({"attempt": 9, "attempt_base": 6}, Reason.PERMANENT),
        ({"max_retries": None}, Reason.PERMANENT),
        ({}, Reason.EXHAUSTED),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else repr(value)[:40],
)
def test_the_row_tells_why_the_job_gave_up(changes: dict[str, Any], reason: Reason) -> None:
    assert reason_of(dead_job(**changes)) == reason
