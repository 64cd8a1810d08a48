"""`step()` and `each()`: what a task has done is kept under its job's lease, and later attempts go on from there."""

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import hypothesis
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from hypothesis import given, strategies as st

from jobs import Batch, Cancel, LeaseLost, each, job, step
from jobs.compose.attempt_steps import Interrupted, of_attempt
from jobs.core.outcome import Released
from jobs.core.states import State
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.prune import Past, prune_jobs
from jobs.ledger.record import record_many
from jobs.models import Job, Queue, Step
from jobs.operations.actions import cancel_jobs, requeue, retry_jobs
from jobs.operations.filters import JobFilter
from tests.jobs import verbs
from tests.jobs.delivery import InThisProcess, deliver
from tests.jobs.locks import holding
from tests.jobs.rows import ERROR, LEASE, OTHER_LEASE, claimed
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

#: What the task does in each of its attempts; the last one's for all later ones.
bodies: list[Callable[[], Any]] = []
calls: list[Any] = []


@job(name="tests.steps", max_retries=3, retry_backoff=0)
def stepping() -> None:
    """Do as the test says."""
    (bodies.pop(0) if len(bodies) > 1 else bodies[0])()


@job(name="tests.steps.coroutine", max_retries=3, retry_backoff=0)
async def awaiting() -> None:
    await bodies[0]()


class Row(NamedTuple):
    number: int


@job(name="tests.steps.batch", batch=5, max_retries=0)
def several(batch: Batch[Row]) -> None:
    step("all", called, 1)


@pytest.fixture(autouse=True)
def fresh(valkey: Valkey) -> None:
    bodies.clear()
    calls.clear()


def stop_if(stops: list[bool]) -> None:
    """Stop the worker as soon as that is in the list."""
    if stops:
        raise Interrupted


def called(value: Any) -> Any:
    """Note a call, and return its argument."""
    calls.append(value)
    return value


def failed() -> None:
    raise ValueError("it failed")


def failing_once() -> Callable[[], None]:
    """Return what fails the first time it is called."""
    times: list[None] = []

    def fail() -> None:
        times.append(None)
        if len(times) == 1:
            failed()

    return fail


def ran(*given: Callable[[], Any], task: Any = stepping) -> Job:
    """Run a job once for each of these bodies, and return its row."""
    bodies.extend(given)
    row: Job = task.delay().job
    for number in range(len(given)):
        if number:
            requeue([row.pk])
        deliver(row)
    return row


def kept(row: Job) -> list[tuple[int, str, Any]]:
    return list(row.steps.values_list("number", "name", "value"))


@pytest.fixture
def leased() -> Iterator[Job]:
    """A running job whose body is the test."""
    row = claimed()
    with of_attempt(row.pk, LEASE, let_end=lambda: None, has_steps=True):
        yield row


# --- Steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, "é", None, False, [1, {"b": None, "a": 2.5}], dt.date(2026, 11, 28)])
def test_a_later_attempt_gets_the_result_and_calls_nothing(value: Any) -> None:
    results: list[Any] = []

    def body() -> None:
        results.append(step("charge", called, value))
        failed() if len(results) == 1 else None

    row = ran(body, body)
    assert (row.state, calls, results) == ("succeeded", [value], [value, value])


def test_what_a_step_returns_is_the_same_the_first_time_and_later() -> None:
    results: list[Any] = []

    def body() -> None:
        results.append(step("pair", lambda: (1, {2: "x"})))
        failed() if len(results) == 1 else None

    ran(body, body)
    assert results == [[1, {"2": "x"}]] * 2


def test_a_job_goes_on_with_the_step_that_failed() -> None:
    third = failing_once()

    def body() -> None:
        step("one", called, 1)
        step("two", called, 2)
        step("three", lambda: [third(), called(3)][1])

    row = ran(body, body)
    assert (row.state, calls) == ("succeeded", [1, 2, 3])
    assert kept(row) == [(1, "one", 1), (2, "two", 2), (3, "three", 3)]
    assert list(row.steps.values_list("attempt", flat=True)) == [1, 1, 2]
    times = list(row.steps.values_list("started_at", "finished_at"))
    assert all(row.created_at <= start <= end <= row.finished_at for start, end in times if row.finished_at)


def test_steps_within_steps_are_kept_as_they_end() -> None:
    row = ran(lambda: step("outer", lambda: step("inner", called, 1) + 1))
    assert kept(row) == [(1, "inner", 1), (2, "outer", 2)]


def test_a_step_that_fails_is_not_kept_and_its_error_is_the_attempts() -> None:
    row = ran(lambda: step("bad", failed))
    assert (row.state, row.last_error, kept(row)) == ("retrying", "ValueError: it failed", [])


def test_a_name_stands_for_one_result() -> None:
    def body() -> None:
        step("one", called, 1)
        step("one", called, 2)

    row = ran(body)
    assert (row.state, calls) == ("dead", [1])
    assert "StepError: The step 'one' was used before in this attempt" in row.last_error


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", "a\x00", None, 3])
def test_what_is_no_name_is_refused_before_anything_is_done(name: Any) -> None:
    row = ran(lambda: step(name, called, 1))
    assert (row.state, calls) == ("dead", [])
    assert "is not valid as the name of a step" in row.last_error


def test_a_name_of_a_step_is_not_a_loops_as_well() -> None:
    def first() -> None:
        step("x", called, 1)
        failed()

    row = ran(first, lambda: list(each("x", [1])))
    assert row.state == "dead"
    assert "was saved as a step, and is each() now" in row.last_error


@pytest.mark.parametrize(
    "result,why",
    [
        (object(), "cannot be written as JSON"),
        (float("nan"), "cannot be written as JSON"),
        ("x" * 1_200_000, r"it has 1\.2 MB; the limit is 1\.0 MB \(JOBS_MAX_RESULT_BYTES\)"),
        ("a\x00b", "NUL"),
        ({"__type__": "datetime", "__value__": "no time"}, "cannot be kept"),
    ],
    ids=["object", "NaN", "large", "NUL", "unreadable"],
)
def test_a_result_that_cannot_be_kept_is_no_cause_for_another_attempt(result: Any, why: str) -> None:
    row = ran(lambda: step("charge", called, result))
    assert (row.state, len(calls), kept(row)) == ("dead", 1, [])
    attempt = row.attempts.get()
    assert attempt.error_type == "NoResult"
    assert "The step 'charge' is done, but cannot be kept" in attempt.error
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(attempt.error)


def test_a_task_of_a_batch_has_no_steps() -> None:
    row = several.delay(1).job
    deliver(row)
    assert (row.state, calls) == ("dead", [])
    assert "batch=" in row.last_error


def test_outside_of_a_job_the_function_is_called() -> None:
    assert step("x", called, (1, 2)) == (1, 2)
    assert step("x", called, object) is object
    assert list(each("x", [1, 2])) == [1, 2]
    assert list(each("x", lambda after: [after], cursor=lambda row: row)) == [None]
    assert not Step.objects.exists()


def test_with_always_eager_it_is_called_too(settings: Any) -> None:
    stepping.app.conf.task_always_eager = True
    try:
        bodies.append(lambda: step("x", called, 1))
        stepping.delay()
    finally:
        stepping.app.conf.task_always_eager = False
    assert (calls, Step.objects.exists()) == ([1], False)


def test_another_thread_knows_nothing_of_the_job() -> None:
    def body() -> None:
        thread = threading.Thread(target=step, args=("x", called, 1))
        thread.start()
        thread.join()

    row = ran(body)
    assert (row.state, calls, kept(row)) == ("succeeded", [1], [])


# --- The lease ----------------------------------------------------------------------------------------


def test_who_has_lost_the_lease_keeps_nothing(leased: Job) -> None:
    Job.objects.filter(pk=leased.pk).update(lease_id=OTHER_LEASE)
    with pytest.raises(LeaseLost, match="'charge' cannot be kept: the job's lease was lost"):
        step("charge", called, 1)
    assert (calls, kept(leased)) == ([1], [])


@pytest.mark.parametrize("end", ["succeed", "die", "cancel", "retry"])
def test_who_goes_on_after_the_jobs_end_keeps_nothing(leased: Job, end: str) -> None:
    act: Any = {
        "succeed": lambda: verbs.succeed(leased.pk, LEASE),
        "die": lambda: verbs.die(leased.pk, LEASE, ERROR),
        "cancel": lambda: verbs.cancel(leased.pk, LEASE, ERROR),
        "retry": lambda: verbs.retry(leased.pk, LEASE, 60, ERROR),
    }[end]
    assert act()
    with pytest.raises(LeaseLost):
        step("charge", called, 1)
    with pytest.raises(LeaseLost):
        list(each("rows", [1, 2], every=0))
    assert kept(leased) == []


def test_of_two_that_keep_one_step_the_first_counts(leased: Job) -> None:
    def other() -> None:
        # An attempt that lost its lease right after this one looked.
        Step.objects.create(
            job=leased, number=1, name="x", attempt=0, value=7, is_complete=True,
            started_at=leased.created_at, finished_at=leased.created_at,
        )  # fmt: skip

    with pytest.raises(LeaseLost, match="kept it first"):
        step("x", other)
    assert kept(leased) == [(1, "x", 7)]


def test_the_job_of_a_lost_lease_is_not_disturbed() -> None:
    worker = InThisProcess()

    def body() -> None:
        Job.objects.update(lease_id=OTHER_LEASE)
        step("charge", called, 1)

    bodies.append(body)
    row = stepping.delay().job
    worker.deliver(row.pk)
    row.refresh_from_db()
    assert (row.state, row.lease_id, kept(row)) == ("running", OTHER_LEASE, [])
    assert row.attempts.get().outcome == "refused"


@pytest.mark.postgres_only
def test_a_row_that_others_hold_is_waited_for(leased: Job) -> None:
    done = threading.Event()

    def let_go() -> None:
        with holding(leased):
            held.set()
            done.wait(0.4)

    held = threading.Event()
    thread = threading.Thread(target=let_go)
    thread.start()
    held.wait(5)
    assert step("x", called, 1) == 1
    done.set()
    thread.join()
    assert kept(leased) == [(1, "x", 1)]


# --- Transactions --------------------------------------------------------------------------------------


def test_in_a_transaction_a_step_is_kept_with_what_it_did_or_not_at_all() -> None:
    def write() -> None:
        Queue.objects.create(name=f"q{len(calls)}")
        called(1)

    def body() -> None:
        with transaction.atomic():
            step("write", write)
            failed() if len(calls) == 1 else None

    row = ran(body)
    assert (kept(row), Queue.objects.count()) == ([], 0)
    requeue([row.pk])
    deliver(row)
    assert (row.state, kept(row), Queue.objects.count()) == ("succeeded", [(1, "write", None)], 1)


def test_a_loop_that_was_undone_goes_through_its_rows_again() -> None:
    seen: list[int] = []

    def body() -> None:
        with transaction.atomic():
            for row in each("rows", range(4), every=0):
                seen.append(row)
                failed() if seen == [0, 1, 2] else None

    ran(body, body)
    assert seen == [0, 1, 2, 0, 1, 2, 3]


# --- Loops ---------------------------------------------------------------------------------------------


def looping(rows: Any, fail_at: Any, **options: Any) -> tuple[Job, list[Any]]:
    """Run a job over rows twice; it fails at one the first time. Returns the rows it went through."""
    seen: list[Any] = []

    def body() -> None:
        for row in each("rows", rows, **options):
            seen.append(row)
            if row == fail_at and seen.count(row) == 1:
                failed()

    return ran(body, body), seen


@pytest.mark.parametrize("every", [0, 60])
def test_a_loop_goes_on_with_the_row_that_failed(every: float) -> None:
    row, seen = looping(range(6), 3, every=every)
    assert (row.state, seen) == ("succeeded", [0, 1, 2, 3, 3, 4, 5])
    saved = row.steps.get()
    assert (saved.rows_done, saved.is_complete, saved.value) == (6, True, None)


def test_with_a_cursor_it_goes_on_after_the_row_of_that_name() -> None:
    numbers = [10, 20, 30, 40]

    def body() -> None:
        for row in each("rows", list(numbers), cursor=lambda row: {"é": [row]}):
            called(row)
            failed() if calls == [10, 20] else None

    bodies.append(body)
    row = stepping.delay().job
    deliver(row)
    # Rows before it may come and go.
    numbers.insert(0, 5)
    requeue([row.pk])
    deliver(row)
    assert calls == [10, 20, 20, 30, 40]
    assert row.steps.get().value == {"é": [40]}


def test_a_function_returns_the_rows_after_the_cursor() -> None:
    asked: list[Any] = []

    def rows(after: int | None) -> Iterator[int]:
        asked.append(after)
        return iter(range((after or 0) + 1, 5))

    row, seen = looping(rows, 3, cursor=lambda row: row)
    assert (row.state, seen, asked) == ("succeeded", [1, 2, 3, 3, 4], [None, 2])


def test_a_cursor_that_is_gone_is_said() -> None:
    rows = [1, 2, 3]

    def body() -> None:
        for row in each("rows", list(rows), cursor=lambda row: row):
            called(row)
            failed() if calls == [1, 2] else None

    bodies.append(body)
    row = stepping.delay().job
    deliver(row)
    rows.remove(1)
    requeue([row.pk])
    deliver(row)
    assert (row.state, calls) == ("dead", [1, 2])
    assert "no row has the cursor 1 any more" in row.last_error


def test_a_loop_that_ended_is_not_gone_through_again() -> None:
    after = failing_once()

    def body() -> None:
        for row in each("rows", range(3)):
            called(row)
        after()

    row = ran(body, body)
    assert (row.state, calls) == ("succeeded", [0, 1, 2])


def test_no_rows_are_a_loop_too() -> None:
    row = ran(lambda: list(each("rows", [])))
    saved = row.steps.get()
    assert (row.state, saved.rows_done, saved.is_complete) == ("succeeded", 0, True)


def test_a_loop_is_saved_now_and_then_and_not_for_each_row() -> None:
    ran(lambda: [called(row) for row in each("rows", range(2000))])
    # A slow machine may take some seconds for it.
    statements = [query for query in connection.queries if "jobs_step" in query["sql"]]
    assert (len(calls), len(statements) <= 40) == (2000, True)


@pytest.mark.parametrize(
    "arguments,why",
    [
        ({"rows": lambda _: [1]}, "say cursor="),
        ({"rows": [1], "every": -1}, "every=-1 is not valid"),
        ({"rows": [1], "every": float("nan")}, "every=nan is not valid"),
        ({"rows": [1], "every": True}, "every=True is not valid"),
        ({"rows": [1], "cursor": lambda _: object(), "every": 0}, "cursor of a row cannot be kept"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], why: str) -> None:
    rows = arguments.pop("rows")
    row = ran(lambda: list(each("rows", rows, **arguments)))
    assert row.state == "dead"
    assert why in row.last_error


@given(fails=st.lists(st.integers(0, 9), max_size=3), every=st.sampled_from([0, 60]), named=st.booleans())
@hypothesis.settings(max_examples=15)
def test_wherever_a_loop_fails_each_row_is_done_once_and_in_order(fails: list[int], every: float, named: bool) -> None:
    calls.clear()
    bodies.clear()
    left = sorted(fails)

    def body() -> None:
        for row in each("rows", range(10), cursor=(lambda row: row) if named else None, every=every):
            if left and row == left[0]:
                left.pop(0)
                failed()
            called(row)

    row = ran(*[body] * (len(fails) + 1))
    assert (row.state, calls) == ("succeeded", list(range(10)))


# --- Coroutines ----------------------------------------------------------------------------------------


async def called_soon(value: Any) -> Any:
    await asyncio.sleep(0)
    return called(value)


def test_a_coroutine_awaits_its_steps() -> None:
    after = failing_once()

    async def body() -> None:
        assert await step("one", called_soon, 1) == 1
        assert [*await asyncio.gather(step("two", called_soon, 2), step("three", called_soon, 3))] == [2, 3]
        assert await sync_to_async(step)("four", called, 4) == 4
        after()

    row = ran(body, body, task=awaiting)
    assert (row.state, row.attempt, sorted(calls)) == ("succeeded", 2, [1, 2, 3, 4])
    assert {(name, value) for _, name, value in kept(row)} == {("one", 1), ("two", 2), ("three", 3), ("four", 4)}


@pytest.mark.parametrize("act", [lambda: step("x", called, 1), lambda: each("x", [1])], ids=["step", "each"])
def test_what_would_block_the_event_loop_is_refused(act: Callable[[], Any]) -> None:
    async def body() -> None:
        act()

    row = ran(body, task=awaiting)
    assert (row.state, calls) == ("dead", [])
    assert "sync_to_async" in row.last_error


def test_a_step_that_nobody_awaits_ends_its_job_and_says_so() -> None:
    def body() -> None:
        # Else Python says in the tests' log that nobody has awaited it.
        step("one", called_soon, 1).close()

    row = ran(body)
    assert (row.state, row.last_error[:45]) == ("dead", "StepError: The step 'one' was not done: it is")


def test_what_is_no_function_is_no_step() -> None:
    row = ran(lambda: step("one", 5))  # type: ignore[arg-type]
    assert (row.state, row.last_error[:41]) == ("dead", "StepError: step('one', …) was given 5, wh")


# --- Stops, replays, ends --------------------------------------------------------------------------------


def run(row: Job, body: Callable[[], None], stops: list[bool]) -> None:
    """Run a body as that of a job; its worker stops as soon as that is in the list."""
    with of_attempt(row.pk, LEASE, let_end=partial(stop_if, stops), has_steps=True):
        body()


def test_where_the_worker_stops_no_step_begins_and_none_is_lost() -> None:
    row = claimed()
    stops: list[bool] = []

    def body() -> None:
        step("one", called, 1)
        stops.append(True)
        try:
            step("two", called, 2)
        except Exception:  # noqa: BLE001 (as tasks do that go on whatever happens)
            called("caught")

    with pytest.raises(Interrupted):
        run(row, body, stops)
    assert (calls, kept(row)) == ([1], [(1, "one", 1)])


def test_where_the_worker_stops_a_loop_ends_after_the_row_at_hand() -> None:
    row = claimed()
    stops: list[bool] = []

    def body() -> None:
        for number in each("rows", range(9), every=60):
            called(number)
            stops.extend([True] if number == 2 else [])

    with pytest.raises(Interrupted):
        run(row, body, stops)
    saved = row.steps.get()
    assert (calls, saved.rows_done, saved.is_complete) == ([0, 1, 2], 3, False)


def test_a_job_that_is_cancelled_ends_before_its_next_step_and_keeps_what_is_done() -> None:
    row = claimed()

    def let_end() -> None:
        if len(calls) == 2:
            raise Cancel("nobody wants it")

    def body() -> None:
        for number in each("rows", range(9), every=60):
            called(number)

    with pytest.raises(Cancel), of_attempt(row.pk, LEASE, let_end=let_end, has_steps=True):
        body()
    assert (calls, row.steps.get().rows_done) == ([0, 1], 2)


def test_what_is_all_done_ends_though_the_worker_stops() -> None:
    row = claimed()
    with of_attempt(row.pk, LEASE, let_end=lambda: None, has_steps=True):
        step("one", called, 1)
    with of_attempt(row.pk, LEASE, let_end=partial(stop_if, [True]), has_steps=True):
        assert step("one", called, 1) == 1
    assert calls == [1]


def test_a_job_released_between_steps_has_its_attempt_back() -> None:
    row = claimed()
    stopped = Failure("WorkerStopped", "between")
    end = Ended(row.pk, LEASE, row.attempt, Released(gets_attempt_back=True), stopped)
    assert record_many([end]).became == {row.pk: end.outcome}
    row.refresh_from_db()
    assert (row.state, row.attempt, row.lease_id, row.dispatched_at) == ("queued", 0, None, None)
    assert (row.attempts.count(), row.last_error) == (0, "WorkerStopped: between")
    # The answer was lost, and it is recorded again.
    assert record_many([end], again=True).already == {row.pk}


def test_a_replay_from_a_step_does_that_one_and_the_later_ones_again() -> None:
    def body() -> None:
        for number in (1, 2, 3):
            step(f"step {number}", called, number)

    row = ran(body)
    retry_jobs(JobFilter(ids=(row.pk,)), actor="test", from_step=2)
    assert kept(row) == [(1, "step 1", 1)]
    deliver(row)
    assert (row.state, calls) == ("succeeded", [1, 2, 3, 2, 3])
    assert [number for number, *_ in kept(row)] == [1, 2, 3]


def test_a_job_that_had_succeeded_does_all_of_its_work_again() -> None:
    row = ran(lambda: step("one", called, 1))
    retry_jobs(JobFilter(ids=(row.pk,)), actor="test")
    assert kept(row) == []
    deliver(row)
    assert calls == [1, 1]


def test_a_cancelled_job_that_is_retried_goes_on_where_it_was() -> None:
    after = failing_once()

    def body() -> None:
        step("one", called, 1)
        after()

    row = ran(body)
    cancel_jobs(JobFilter(ids=(row.pk,)), actor="test")
    retry_jobs(JobFilter(ids=(row.pk,)), actor="test")
    deliver(row)
    assert (row.state, row.attempt, calls) == ("succeeded", 2, [1])


def test_steps_are_pruned_with_their_job() -> None:
    ran(lambda: step("one", called, 1))
    assert prune_jobs(Past({State.SUCCEEDED}, 0), 10) == 1
    assert not Step.objects.exists()


def test_steps_go_with_their_job() -> None:
    row = ran(lambda: step("one", called, 1))
    row.delete()
    assert not Step.objects.exists()
