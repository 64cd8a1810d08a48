"""A success that comes after its lease was lost counts while nobody has begun the job again."""

from collections.abc import Callable, Iterator

import pytest

from jobs import job
from jobs.core.states import State
from jobs.ledger import attempts, maintain
from jobs.ledger.attempts import Failure
from jobs.models import Job
from tests.jobs import verbs
from tests.jobs.delivery import deliver
from tests.jobs.rows import ERROR, OTHER_LEASE
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db

#: What happens to the job while its task runs.
meanwhile: list[Callable[[Job], object]] = []


@job(name="tests.slow")
def slow() -> str:
    """Run on while somebody takes the job."""
    for happen in meanwhile:
        happen(Job.objects.get(task="tests.slow"))
    return "done"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Nothing happens yet."""
    meanwhile.clear()
    yield
    meanwhile.clear()


def rescue(row: Job) -> None:
    assert row.lease_id is not None
    assert verbs.retry(row.pk, row.lease_id, 0, ERROR, lost_worker=True)


def make_due(_: Job) -> None:
    assert len(maintain.take_due(10)) == 1


def begin_again(row: Job) -> None:
    assert verbs.claim(row.pk, lease_id=OTHER_LEASE, lease_seconds=60, worker="worker@test")


def give_up(row: Job) -> None:
    assert row.lease_id is not None
    assert verbs.die(row.pk, row.lease_id, ERROR)


@pytest.mark.parametrize("events", [[rescue], [rescue, make_due]])
def test_a_job_that_nobody_has_begun_again_has_succeeded(events: list[Callable[[Job], object]]) -> None:
    meanwhile.extend(events)
    row = slow.delay().job
    deliver(row)
    assert (row.state, row.attempt, row.lease_id) == (State.SUCCEEDED, 1, None)
    assert row.finished_at is not None
    assert [attempt.outcome for attempt in row.attempts.all()] == ["retrying"]


@pytest.mark.parametrize("events, state", [([rescue, make_due, begin_again], State.RUNNING), ([give_up], State.DEAD)])
def test_one_that_runs_again_or_gave_up_refuses_it(events: list[Callable[[Job], object]], state: State) -> None:
    meanwhile.extend(events)
    row = slow.delay().job
    deliver(row)
    assert row.state == state
    assert "refused" in [attempt.outcome for attempt in row.attempts.all()]


def test_what_follows_it_is_enqueued_with_it() -> None:
    meanwhile.append(rescue)
    deliver(Job.objects.get(pk=slow.apply_async(link=tasks.note.si("followed")).id))
    assert Job.objects.filter(task=tasks.note.name).count() == 1


def test_another_attempt_of_the_same_number_is_not_taken_for_it() -> None:
    row = slow.delay().job
    begin_again(row)
    assert not attempts.succeed_late(row.pk, 1, "worker@test")
    assert verbs.retry(row.pk, OTHER_LEASE, 0, ERROR)
    assert not attempts.succeed_late(row.pk, 1, "other@test")
    assert not attempts.succeed_late(row.pk, 0, "worker@test")
    assert attempts.succeed_late(row.pk, 1, "worker@test")


def take_at_its_limit(row: Job) -> None:
    assert row.lease_id is not None
    assert verbs.retry(row.pk, row.lease_id, 60, Failure(attempts.OVERTIME, "The hard time limit of 1 s passed."))


def test_one_whose_time_limit_had_passed_does_not_count() -> None:
    meanwhile.append(take_at_its_limit)
    row = slow.delay().job
    deliver(row)
    assert row.state == State.RETRYING
    assert [attempt.outcome for attempt in row.attempts.all()] == ["retrying", "refused"]
