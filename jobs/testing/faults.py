"""Faults on demand: what happens to jobs one day, at the moment at which the test wants it.

Each is a context in which the next attempts that `run_jobs()` makes meet the fault. One that did not happen by the end
of its context is an AssertionError: the test would show nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connection
from django.db.models.functions import Now

from jobs.enqueue.dispatcher import dispatching_by
from jobs.enqueue.message import HasMessage
from jobs.ledger import maintain
from jobs.models import Job
from jobs.testing.local_worker import LocalWorker
from jobs.worker.decision import after_lost_worker, failure_of, outcome_of
from jobs.worker.recorder import End
from jobs.worker.reports import Report
from jobs.worker.reserved import ReservedJob


class Injected(Exception):
    """The error of an attempt that `fail_next` lets fail, unless the test names another."""


class WorkerKilled(BaseException):
    """Raised where a worker dies; nothing of it gets to the test."""


#: Runs claimed jobs of one call, and records what becomes of them.
Attempt = Callable[[LocalWorker, Sequence[ReservedJob]], None]


@dataclass(slots=True, eq=False)
class Fault:
    """A fault, and how often it is still to happen.

    Attributes:
        task: of this task's attempts only; of any where None.
        happened: how often it did.
    """

    name: str
    attempt: Attempt
    times: int = 1
    task: Any = None
    happened: int = 0

    def meets(self, task: str) -> bool:
        """Return whether the next attempt of a task meets it."""
        return self.happened < self.times and self.task in {None, task}


@dataclass(slots=True)
class _Active:
    """Those that are to happen, the innermost context's last."""

    faults: list[Fault] = field(default_factory=list)


_active = _Active()


def take(task: str) -> Attempt:
    """Return how the next attempt of a task is made."""
    for fault in reversed(_active.faults):
        if fault.meets(task):
            fault.happened += 1
            return fault.attempt
    return plainly


def plainly(worker: LocalWorker, jobs: Sequence[ReservedJob]) -> None:
    """Make an attempt that meets no fault."""
    worker.record(worker.run(*jobs))


@contextmanager
def _to_happen(name: str, attempt: Attempt, times: int, task: Any) -> Iterator[Fault]:
    if type(times) is not int or times < 1:
        raise ValueError(f"{name}(): times={times!r} is not valid: it must be a whole number, one or more.")
    fault = Fault(name, attempt, times, getattr(task, "name", task))
    _active.faults.append(fault)
    try:
        yield fault
    finally:
        _active.faults.remove(fault)
    if fault.happened < times:
        raise AssertionError(
            f"{name}() was to happen {times} times and happened {fault.happened} times: run_jobs() made no further"
            f" attempt{f' of {fault.task}' if fault.task else ''} within its context."
        )


@contextmanager
def fail_next(
    times: int = 1, error: Exception | None = None, *, task: Any = None, after: bool = False
) -> Iterator[Fault]:
    """Let the next attempts fail.

    Args:
        times: so many attempts.
        error: with this error; `Injected` where None.
        task: of this task (itself or its name) only.
        after: whether the body runs before, so that all it did has happened, and the attempt fails all the same.
    """

    def attempt(worker: LocalWorker, jobs: Sequence[ReservedJob]) -> None:
        if after:
            worker.run(*jobs)
        raised = error if error is not None else Injected("The test let this attempt fail.")
        worker.write([_end(job, outcome_of(job.task, raised, job.job), failure_of(raised)) for job in jobs])

    with _to_happen("fail_next", attempt, times, task) as fault:
        yield fault


def _end(job: ReservedJob, outcome: Any, failure: Any, *, lost_worker: bool = False) -> End:
    job.is_ended = True
    return End(job, outcome, failure, lost_worker=lost_worker)


@contextmanager
def kill_worker(times: int = 1, *, task: Any = None, before_query: int | None = None) -> Iterator[Fault]:
    """Let the next attempts' worker die: when the body has run and nothing is recorded, or in the middle of it.

    The attempt is lost, and the job is tried again as after any other. What the body had open in a transaction is
    undone.

    Args:
        times: so many attempts.
        task: of this task only.
        before_query: in the middle: before the body's query of this number, counted from 1, over Django's default
            connection.
    """

    def attempt(worker: LocalWorker, jobs: Sequence[ReservedJob]) -> None:
        def die(_: Sequence[Report] = ()) -> None:
            raise WorkerKilled

        try:
            with _at_query(before_query, die):
                worker.run_calls([jobs], take=die)
        except WorkerKilled:
            pass
        ends = [after_lost_worker(job.task, job.job, "the test killed it") for job in jobs]
        worker.write([_end(job, *end, lost_worker=True) for job, end in zip(jobs, ends, strict=True)])

    with _to_happen("kill_worker", attempt, times, task) as fault:
        yield fault


@contextmanager
def database_away(times: int = 1, *, task: Any = None, before_query: int = 1, queries: int = 1) -> Iterator[Fault]:
    """Let the database not answer the bodies of the next attempts: a query raises OperationalError. Then it is back.

    Args:
        times: so many attempts.
        task: of this task only.
        before_query: the first query that is not answered, counted from 1, over Django's default connection.
        queries: so many are not.
    """

    def refuse() -> None:
        raise OperationalError("The test took the database away.")

    def attempt(worker: LocalWorker, jobs: Sequence[ReservedJob]) -> None:
        with _at_query(before_query, refuse, queries):
            taken = worker.run(*jobs)
        worker.record(taken)

    with _to_happen("database_away", attempt, times, task) as fault:
        yield fault


@contextmanager
def _at_query(number: int | None, act: Callable[[], None], queries: int = 1) -> Iterator[None]:
    """Act before the query of this number, and those after it, so many in all."""
    if number is None:
        yield
        return
    asked = 0

    def count(execute: Callable[..., Any], *args: Any) -> Any:
        nonlocal asked
        asked += 1
        if number <= asked < number + queries:
            act()
        return execute(*args)

    with connection.execute_wrapper(count):
        yield


@contextmanager
def deliver_twice(times: int = 1, *, task: Any = None) -> Iterator[Fault]:
    """Deliver the messages of the next jobs twice: once more to another worker while they run, and again afterwards."""

    def attempt(worker: LocalWorker, jobs: Sequence[ReservedJob]) -> None:
        other = LocalWorker("other@test")
        ids = [job.job.id for job in jobs]
        other.deliver(*ids)
        plainly(worker, jobs)
        other.deliver(*ids)

    with _to_happen("deliver_twice", attempt, times, task) as fault:
        yield fault


@contextmanager
def lose_lease(times: int = 1, *, task: Any = None) -> Iterator[Fault]:
    """Let the worker lose its leases, as one that was frozen: another runs the jobs, then the first wakes and goes on.

    The bodies run twice, one after the other. What the second run would record is refused.
    """

    def attempt(worker: LocalWorker, jobs: Sequence[ReservedJob]) -> None:
        rescuer = LocalWorker("rescuer@test")
        ids = [job.job.id for job in jobs]
        lost = [after_lost_worker(job.task, job.job, "the test froze it") for job in jobs]
        rescuer.write([End(job, *end, lost_worker=True) for job, end in zip(jobs, lost, strict=True)])
        # Its back-off is over by the time that the first one wakes.
        Job.objects.filter(pk__in=ids).update(run_at=Now())
        maintain.take_due(len(ids))
        rescuer.deliver(*ids)
        plainly(worker, jobs)

    with _to_happen("lose_lease", attempt, times, task) as fault:
        yield fault


@contextmanager
def broker_down() -> Iterator[Fault]:
    """Let the broker take nothing: what commits meanwhile waits in the ledger, and neither fails nor hangs."""

    def drop(jobs: Sequence[HasMessage]) -> None:
        fault.happened += len(jobs)

    fault = Fault("broker_down", plainly)
    with dispatching_by(drop):
        yield fault
    if not fault.happened:
        raise AssertionError(
            "broker_down(): nothing was to be dispatched. Jobs are when their transaction commits: the test needs"
            " transaction=True (TransactionTestCase), or captureOnCommitCallbacks(execute=True)."
        )
