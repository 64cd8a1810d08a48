"""Batches: a task with `batch=100` gets up to 100 of its waiting jobs in one call.

The message that is delivered brings one job; the rest are claimed with it, greedily and without waiting for
more: under load batches grow, and an idle system answers at once. Each job keeps its own state, error and retries.

Where an earlier batch has had the job, its message still says that there is work: it brings the next batch. Else a
worker would have to read through all messages of a batch before it came to a job that nobody has.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_type_hints

from celery.exceptions import Ignore
from kombu.utils.json import loads

from jobs.conf import conf
from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.errors import InvalidOption
from jobs.ledger import attempts, claims
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import Claimed
from jobs.ledger.sql import RowLocked
from jobs.observability import tracing
from jobs.runtime.claim import NothingToRun, claim, ledger_id
from jobs.runtime.database import PATIENCE_AFTER, DatabaseGone, patiently
from jobs.runtime.deadletters import BrokerGone
from jobs.runtime.execute import (
    Expired,
    Unrecorded,
    check_arguments,
    decide,
    failure_of,
    record,
    run,
    succeed_late,
    tell_celery,
)
from jobs.runtime.redacted import redacted

if TYPE_CHECKING:
    from jobs.task import JobTask

T = TypeVar("T")


@dataclass(slots=True)
class Item(Generic[T]):
    """One job of a batch.

    Attributes:
        value: its arguments, as the type that the task's parameter names.
        job_id: the job.
        error: why it failed; None while it has not.
    """

    value: T
    job_id: uuid.UUID
    error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Let this job alone fail with `error`; it is retried, put off or given up as if it had raised it."""
        self.error = error


class Batch(Sequence[Item[T]]):
    """The jobs of one call. Those not failed one by one have succeeded when the function returns.

    Declare the task with the type of its arguments: any class whose constructor takes them.

        class Document(NamedTuple):
            kind: str
            pk: str

        @job(batch=100)
        def index(batch: Batch[Document]) -> None: ...

        index.delay("post", "42")
    """

    def __init__(self, items: Sequence[Item[T]]) -> None:
        self._items = items

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item[T]]:
        return iter(self._items)


def item_type(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the type of a batch task's arguments. Raises InvalidOption where its parameter does not say."""
    hints = [hint for name, hint in get_type_hints(function).items() if name != "return"]
    named = get_args(hints[0]) if len(hints) == 1 else ()
    if len(named) != 1:
        raise InvalidOption(
            f"{function.__qualname__}: a task with batch= takes one parameter, annotated Batch[T] with the type of"
            " each job's arguments."
        )
    kind: Callable[..., Any] = named[0]
    return kind


@dataclass(frozen=True, slots=True)
class _Member:
    job_id: uuid.UUID
    claimed: Claimed
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


def execute_batch(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any]) -> int:
    """Run one call for the job that `task.request` delivers and those that wait with it; record each one's outcome.

    Returns:
        How many succeeded.

    Raises:
        As `execute`, for the job delivered.
    """
    job_id = ledger_id(task.request.id)
    try:
        claimed = claim(task, job_id, task.request.lease_id, args, kwargs)
    except NothingToRun:
        if others := _others(task):
            _run_members(task, job_id, others)
        raise
    first = _Member(job_id, claimed, args, kwargs)
    return _run_members(task, job_id, [first, *_more(task, task.batch - 1)])


def _run_members(task: "JobTask", delivered: uuid.UUID, members: Sequence[_Member]) -> int:
    request, first = task.request, members[0]
    request.job_id, request.job_correlation_id = first.job_id, str(first.job_id)
    request.job_attempt, request.retries = first.claimed.attempt, first.claimed.retries
    with tracing.attempt(task):
        return _execute(task, delivered, members)


def _execute(task: "JobTask", job_id: uuid.UUID, members: Sequence[_Member]) -> int:
    errors: dict[uuid.UUID, Exception] = {}
    items = _items(task, members, errors)
    if items:
        try:
            run(task, Batch(items))
        except Exception as exc:  # noqa: BLE001 (it is every job's error)
            errors |= {item.job_id: item.error or exc for item in items}
        else:
            errors |= {item.job_id: item.error for item in items if item.error is not None}
    # Failures first: whatever still holds the lease after them has succeeded.
    tell = _fail(task, [member for member in members if member.job_id in errors], errors, job_id)
    succeeded = _succeed(task, [member for member in members if member.job_id not in errors])
    tell()
    return succeeded


#: How long a process believes that nobody waits, in seconds: the messages of a batch come after it in a row, and
#: each would ask again.
_REST = 0.1

#: Until when it believes so, by task and queue.
_resting: dict[tuple[str, str], float] = {}


def _others(task: "JobTask") -> list[_Member]:
    """Return a batch of jobs that wait, for a message whose own job is taken."""
    place = task.name, _queue_of(task)
    if time.monotonic() < _resting.get(place, 0.0):
        return []
    found = _more(task, task.batch)
    if not found:
        _resting[place] = time.monotonic() + _REST
    return found


def _queue_of(task: "JobTask") -> str:
    return str((task.request.delivery_info or {}).get("routing_key") or task.queue)


def _more(task: "JobTask", limit: int) -> list[_Member]:
    request = task.request
    found = patiently(
        lambda _: claims.claim_more(
            task.name,
            _queue_of(task),
            limit,
            lease_id=request.lease_id,
            lease_seconds=conf().lease_seconds,
            worker=request.hostname,
        ),
        PATIENCE_AFTER,
    )
    # An UPDATE returns its rows in no order; ids are in the order in which they were made.
    found.sort(key=lambda job: job.id)
    return [_Member(job.id, job.claimed, loads(job.args), loads(job.kwargs)) for job in found]


def _items(task: "JobTask", members: Sequence[_Member], errors: dict[uuid.UUID, Exception]) -> list[Item[Any]]:
    """Return the jobs that can run; those that cannot are put into `errors`."""
    items = []
    for member in members:
        try:
            kind = item_type(task.run)
            if member.claimed.expired:
                raise Expired("The job's time passed before it could begin.")
            check_arguments(task, member.args, member.kwargs, checked_before=True)
            items.append(Item(kind(*member.args, **member.kwargs), member.job_id))
        except Exception as exc:  # noqa: BLE001 (whatever the item's type raises is that job's error)
            errors[member.job_id] = exc
    return items


def _succeed(task: "JobTask", members: Sequence[_Member]) -> int:
    if not members:
        return 0
    lease_id = task.request.lease_id
    in_doubt = False
    done: set[uuid.UUID] = set()

    def write(again: bool) -> None:
        nonlocal in_doubt
        in_doubt = in_doubt or again
        try:
            done.update(attempts.succeed_many([member.job_id for member in members], lease_id))
        except RowLocked as exc:
            done.update(exc.changed)
            raise

    try:
        patiently(write, PATIENCE_AFTER)
    except DatabaseGone as exc:
        # All jobs that still hold the lease share this end.
        raise Unrecorded(task.request.id, outcomes.Succeeded(), Failure("", "")) from exc
    for member in members:
        if member.job_id not in done and not in_doubt:
            succeed_late(member.job_id, member.claimed.attempt, task.request.hostname)
    return len(done)


def _fail(
    task: "JobTask", members: Sequence[_Member], errors: Mapping[uuid.UUID, Exception], delivered: uuid.UUID
) -> Callable[[], None]:
    """Record each failure. Returns what tells Celery of the job that was delivered, by raising, if it is among them."""
    lease_id = task.request.lease_id
    tell: Callable[[], None] = _nothing
    for member in members:
        error = errors[member.job_id]
        outcome = decide(task, error, member.claimed)
        # One error may be that of all, and tell of any.
        error = redacted(task, error, [(one.args, one.kwargs) for one in members])
        failure = failure_of(error)
        _record(task, member.job_id, lease_id, outcome, failure)
        if member.job_id == delivered:
            tell = partial(_tell, outcome, error, failure)
    return tell


def _record(task: "JobTask", job_id: uuid.UUID, lease_id: str, outcome: Outcome, failure: Failure) -> None:
    try:
        patiently(lambda _: record(job_id, lease_id, outcome, failure), PATIENCE_AFTER)
    except (DatabaseGone, BrokerGone) as exc:
        # The parent process can only end all that still hold the lease alike; another try is right for each.
        again = outcomes.RetryIn(task.default_retry_delay)
        raise Unrecorded(task.request.id, again, Failure("Unrecorded", "Its batch could not be recorded.")) from exc


def _nothing() -> None:
    """Say nothing: the job delivered has succeeded."""


def _tell(outcome: Outcome, error: Exception, failure: Failure) -> None:
    if isinstance(outcome, outcomes.Succeeded):
        raise Ignore(str(error))
    tell_celery(outcome, error, failure)
