"""The test kit: how jobs run in a test, what it can ask, and the faults that it lets happen."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs import Batch, Permanent, Snooze, job, step
from jobs.core.states import State
from jobs.models import DeadLetter, Job, Queue
from jobs.operations.actions import pause_queue
from jobs.testing import (
    RealWorker,
    assert_enqueued,
    assert_not_enqueued,
    broker_down,
    database_away,
    deliver_twice,
    enqueued,
    fail_next,
    inline,
    kill_worker,
    lose_lease,
    memory,
    run_jobs,
    travel,
)
from tests.jobs.rows import written
from tests.tasks_app.tasks import double, noop

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs_in_memory"), pytest.mark.any_database]

seen: list[Any] = []


@job(name="tests.kit.note", queue="tests.other", max_retries=1, retry_jitter=False)
def note(word: str, times: int = 1) -> None:
    seen.append(word)
    if word == "again" and times > 1:
        note.delay(word, times - 1)
    if word == "fail":
        raise ValueError("it failed")
    if word == "dead":
        raise Permanent("no use")
    if word == "snooze":
        raise Snooze(60)


@job(name="tests.kit.writes", retry_jitter=False)
def writes() -> None:
    """Do something elsewhere, then write it down."""
    seen.append("effect")
    with transaction.atomic():
        Queue.objects.create(name=f"q{len(seen)}")
        seen.append("written")


@job(name="tests.kit.steps", retry_jitter=False)
def steps() -> None:
    step("one", seen.append, "one")
    Queue.objects.count()
    step("two", seen.append, "two")


class Word(NamedTuple):
    text: str


@job(name="tests.kit.batch", batch=3)
def several(batch: Batch[Word]) -> None:
    seen.append([item.value.text for item in batch])


@job(name="tests.kit.limited", concurrency=1)
def limited(word: str) -> None:
    seen.append(word)


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    seen.clear()
    yield
    seen.clear()


def state(row: Any) -> tuple[str, int]:
    row = Job.objects.get(pk=row.id)
    return row.state, row.attempt


# --- How jobs run ---------------------------------------------------------------------------------


def test_jobs_run_when_the_test_says_so() -> None:
    first, second = note.delay("a"), noop.delay()
    assert seen == []
    assert [row.pk for row in run_jobs()] == [first.job.pk, second.job.pk]
    assert (seen, state(first), run_jobs()) == (["a"], ("succeeded", 1), [])


def test_those_of_one_queue_run_alone() -> None:
    noop.delay()
    note.delay("a")
    assert [row.task for row in run_jobs(queue="tests.other")] == [note.name]
    assert_enqueued(noop)


def test_what_they_enqueue_runs_too_until_it_is_too_much() -> None:
    note.delay("again", 4)
    assert len(run_jobs()) == 4
    note.delay("again", 10)
    with pytest.raises(AssertionError, match="More than 3 attempts were made"):
        run_jobs(limit=3)


def test_the_most_urgent_runs_first() -> None:
    note.apply_async(["low"], priority=1)
    note.apply_async(["high"], priority=9)
    run_jobs()
    assert seen == ["high", "low"]


def test_later_jobs_and_retries_wait_until_time_has_passed() -> None:
    later = note.apply_async(["later"], countdown=3600)
    failing = note.delay("fail")
    run_jobs()
    assert (seen, state(failing)) == (["fail"], ("retrying", 1))
    travel(1)
    run_jobs()
    assert (seen, state(failing), state(later)) == (["fail", "fail"], ("dead", 2), ("scheduled", 0))
    travel(hours=1)
    run_jobs()
    assert state(later) == ("succeeded", 1)


def test_a_dead_job_has_its_letter_and_needs_no_broker() -> None:
    result = note.delay("dead")
    (row,) = run_jobs()
    assert (row.state, row.last_error) == ("dead", "Permanent: no use")
    assert DeadLetter.objects.get().job_id == result.job.pk


def test_jobs_of_a_paused_queue_and_of_an_unknown_task_wait() -> None:
    note.delay("a")
    unknown = written(task="not.there")
    pause_queue("tests.other", actor="test")
    assert run_jobs() == []
    unknown.refresh_from_db()
    assert unknown.held_by == "unknown-task"


def test_a_batch_gets_what_waits() -> None:
    several.delay_many([[word] for word in "abcd"])
    assert len(run_jobs()) == 4
    assert sorted(map(len, seen)) == [1, 3]


def test_jobs_that_a_limit_keeps_in_line_run_one_after_the_other() -> None:
    limited.delay_many([[word] for word in "abc"])
    assert len(run_jobs()) == 3
    assert sorted(seen) == ["a", "b", "c"]


def test_inline_jobs_run_in_the_call_and_raise_there() -> None:
    with inline():
        assert double.delay(21).get() == 42
        with pytest.raises(ValueError, match="it failed"):
            note.delay("fail")
    assert not Job.objects.exists()
    note.delay("a")
    assert_enqueued(note)


# --- What was enqueued ----------------------------------------------------------------------------


def test_what_waits_is_found_by_its_arguments_however_they_were_given() -> None:
    note.delay("a", times=2)
    assert assert_enqueued(note, kwargs={"word": "a"}).args == ["a"]
    assert_enqueued("tests.kit.note", kwargs={"times": 2, "word": "a"}, queue="tests.other", times=1)
    assert_not_enqueued(note, kwargs={"word": "b"})
    assert_not_enqueued(note, queue="default")
    assert_not_enqueued(noop)
    note.delay("b")
    assert_enqueued(note, kwargs={"times": 1})
    assert [row.args for row in enqueued(note)] == [["a"], ["b"]]
    run_jobs()
    assert_not_enqueued(note)


@pytest.mark.parametrize(
    "act,words",
    [
        (lambda: assert_enqueued(noop), "at least one job of tests.tasks_app.tasks.noop should wait; 0 do. Waiting: "),
        (lambda: assert_enqueued(note, kwargs={"word": "b"}), "with {'word': 'b'} should wait"),
        (lambda: assert_enqueued(note, times=2), "2 job of tests.kit.note should wait; 1 do"),
        (lambda: assert_enqueued(note, queue="default"), "in the queue default"),
        (lambda: assert_not_enqueued(note), "No job of tests.kit.note should wait; 1 do"),
        (lambda: assert_enqueued("tests.typo"), "'tests.typo' is the name of no task"),
    ],
    ids=["none", "arguments", "times", "queue", "not", "typo"],
)
def test_what_is_not_so_is_said_with_what_waits(act: Callable[[], Any], words: str) -> None:
    note.delay("a")
    with pytest.raises(AssertionError) as caught:
        act()
    assert words in str(caught.value)


def test_time_passes_for_all_that_is_kept() -> None:
    row = note.delay("dead").job
    run_jobs()
    before = timezone.now() - timedelta(days=1)
    assert travel(days=1, minutes=1) == timedelta(days=1, minutes=1)
    row.refresh_from_db()
    assert row.created_at < before
    assert row.finished_at is not None
    assert row.finished_at < before
    assert DeadLetter.objects.get().failed_at < before
    for nothing in (0, -1):
        with pytest.raises(ValueError, match="must be more than nothing"):
            travel(nothing)


# --- Faults ---------------------------------------------------------------------------------------


def test_the_next_attempts_fail_before_their_bodies() -> None:
    result = noop.delay()
    with fail_next(2, ConnectionError("gone")) as fault:
        run_jobs()
        travel(minutes=1)
        run_jobs()
    assert (fault.happened, state(result)) == (2, ("retrying", 2))
    assert result.job.last_error == "ConnectionError: gone"
    travel(minutes=1)
    run_jobs()
    assert state(result) == ("succeeded", 3)


def test_an_attempt_fails_after_its_body() -> None:
    result = writes.delay()
    with fail_next(after=True):
        run_jobs()
    assert (seen, state(result)) == (["effect", "written"], ("retrying", 1))
    assert Queue.objects.count() == 1


def test_a_fault_is_for_the_task_that_is_named() -> None:
    other, meant = noop.delay(), note.delay("a")
    with fail_next(task=note):
        run_jobs()
    assert (state(other), state(meant)) == (("succeeded", 1), ("retrying", 1))


def test_a_killed_worker_records_nothing_and_its_job_is_tried_again() -> None:
    result = writes.delay()
    with kill_worker():
        run_jobs()
    row = result.job
    assert (row.state, row.attempt, row.worker_losses) == ("retrying", 1, 1)
    assert (seen, row.attempts.get().error_type) == (["effect", "written"], "WorkerLost")
    travel(minutes=1)
    run_jobs()
    assert (state(result), seen.count("effect")) == (("succeeded", 2), 2)


def test_a_worker_is_killed_in_the_middle() -> None:
    result = writes.delay()
    # The savepoint's is the first query.
    with kill_worker(before_query=2):
        run_jobs()
    assert (seen, Queue.objects.count(), state(result)) == (["effect"], 0, ("retrying", 1))


def test_a_job_that_kills_its_workers_is_poison() -> None:
    result = noop.delay()
    with kill_worker(3):
        for _ in range(3):
            run_jobs()
            travel(minutes=1)
    assert state(result) == ("dead", 3)
    assert DeadLetter.objects.get().reason == "poison"


def test_a_job_killed_between_its_steps_goes_on_with_the_next() -> None:
    result = steps.delay()
    queries = 1 if connection.vendor == "postgresql" else 3
    with kill_worker(before_query=queries):
        run_jobs()
    travel(minutes=1)
    run_jobs()
    assert (state(result), seen) == (("succeeded", 2), ["one", "two"])


def test_the_database_is_away_for_a_query_of_the_body() -> None:
    result = writes.delay()
    with database_away():
        run_jobs()
    assert (seen, state(result)) == (["effect"], ("retrying", 1))
    assert "OperationalError: The test took the database away." in result.job.last_error


def test_a_message_that_comes_twice_runs_its_job_once() -> None:
    result = note.delay("a")
    with deliver_twice():
        run_jobs()
    assert (seen, state(result)) == (["a"], ("succeeded", 1))


def test_a_worker_that_lost_its_lease_runs_the_body_beside_another_and_its_end_is_refused() -> None:
    result = note.delay("a")
    with lose_lease():
        run_jobs()
    assert (seen, state(result)) == (["a", "a"], ("succeeded", 2))
    assert list(result.job.attempts.values_list("number", "outcome")) == [(1, "retrying"), (1, "refused")]


@pytest.mark.django_db(transaction=True)
def test_a_commit_succeeds_while_the_broker_is_down() -> None:
    with broker_down() as fault:
        result = note.delay("a")
    assert (fault.happened, state(result), result.job.dispatched_at) == (1, ("queued", 0), None)
    run_jobs()
    assert state(result) == ("succeeded", 1)


@pytest.mark.parametrize("fault", [fail_next, kill_worker, database_away, deliver_twice, lose_lease])
def test_a_fault_that_did_not_happen_is_said(fault: Any) -> None:
    noop.delay()
    with pytest.raises(AssertionError, match=r"was to happen 2 times and happened 1 times"), fault(2):
        run_jobs()
    with pytest.raises(ValueError, match="times=0 is not valid"), fault(0):
        pass


def test_a_broker_that_nobody_asked_was_not_down() -> None:
    with pytest.raises(AssertionError, match="nothing was to be dispatched"), broker_down():
        noop.delay()


def test_an_error_of_the_test_itself_is_not_hidden() -> None:
    with pytest.raises(LookupError), fail_next():
        raise LookupError


def test_memory_sends_nothing() -> None:
    with memory(), transaction.atomic():
        noop.delay()
    assert_enqueued(noop)


# --- Real workers ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(180)
def test_a_real_worker_runs_jobs_dies_and_stops(start_real_worker: Callable[..., RealWorker]) -> None:
    worker = start_real_worker(environment={"JOBS_HOUSEKEEPING_SECONDS": "0.2"})
    result = double.delay(21)
    assert [row.state for row in worker.wait_for(result.job)] == [State.SUCCEEDED]
    assert result.get(timeout=5) == 42
    (child,) = worker.children()
    worker.kill_child()
    assert [row.state for row in worker.wait_for(noop.delay().job)] == [State.SUCCEEDED]
    assert worker.children() != [child]
    assert (worker.stop(), worker.is_alive) == (0, False)
    with pytest.raises(AssertionError, match="ended, waiting for the jobs to end"):
        worker.wait_for(noop.delay().job)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(120)
def test_a_real_worker_that_does_not_come_up_says_why(start_real_worker: Callable[..., RealWorker]) -> None:
    with pytest.raises(AssertionError, match="no_such_module"):
        start_real_worker(app="no_such_module")
