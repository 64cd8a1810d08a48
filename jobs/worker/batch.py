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

from jobs.compose.followers import Following, call_in_place, enqueue_followers, following_request, following_row
from jobs.conf import conf
from jobs.core import outcome as outcomes
from jobs.core.job_ids import ledger_id
from jobs.core.outcome import Outcome
from jobs.enqueue import tracing
from jobs.enqueue.enqueuer import enqueuing_for
from jobs.errors import EnqueueError, InvalidOption
from jobs.ledger import attempts, claims
from jobs.ledger.attempts import Failure
from jobs.ledger.claims import Claimed
from jobs.ledger.sql import RowLocked
from jobs.worker.claim import NothingToRun, claim
from jobs.worker.database import PATIENCE_AFTER, DatabaseGone, patiently
from jobs.worker.executor import (
    NO_FAILURE,
    End,
    Expired,
    Misfit,
    Unrecorded,
    check_arguments,
    decide,
    failure_of,
    record,
    recorded,
    run,
    succeed,
    succeed_late,
    tell_celery,
)
from jobs.worker.redacted import redacted

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

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
    following: Following
    options: Mapping[str, Any] | None = None


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
    first = _Member(job_id, claimed, args, kwargs, following_request(task, job_id))
    return _run_members(task, job_id, [first, *_more(task, task.batch - 1)])


def _run_members(task: "JobTask", delivered: uuid.UUID, members: Sequence[_Member]) -> int:
    request, first = task.request, members[0]
    request.job_id, request.job_correlation_id = first.job_id, str(first.job_id)
    request.job_attempt, request.retries = first.claimed.attempt, first.claimed.retries
    with tracing.attempt(task), enqueuing_for(first.job_id, request.job_correlation_id):
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
    recording = _Recording(task, job_id)
    # Successes first: they need no broker, and what fails after them takes none of them back.
    recording.succeed([member for member in members if member.job_id not in errors])
    recording.fail([member for member in members if member.job_id in errors], errors, members)
    recording.tell()
    return recording.succeeded


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
    return [
        _Member(
            job.id,
            job.claimed,
            loads(job.args),
            loads(job.kwargs),
            following_row(task.name, job.id, job.correlation_id, job.options),
            job.options,
        )
        for job in found
    ]


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


class _Recording:
    """Records the outcomes of one call, each on its own: what cannot be recorded now is kept for the parent process."""

    def __init__(self, task: "JobTask", delivered: uuid.UUID) -> None:
        self._task = task
        self._delivered = delivered
        self._lease_id = task.request.lease_id
        self._unrecorded: list[End] = []
        self._tell: Callable[[], None] = _nothing
        self.succeeded = 0

    def succeed(self, members: Sequence[_Member]) -> None:
        """Record successes: those that nothing follows in one statement, the others with what follows them."""
        followed = [member for member in members if member.following]
        self._succeed_together([member for member in members if not member.following])
        for member in followed:
            end = self._end(member, outcomes.Succeeded(), NO_FAILURE)
            try:
                done = self._recorded(lambda end=end: succeed(self._task.app, end, self._lease_id), end)  # type: ignore[misc]
                self._count(member, done=done)
            except EnqueueError as exc:
                self._fail(member, Misfit(f"What follows it cannot be enqueued: {exc}"), [member])
            except Exception as exc:  # noqa: BLE001 (a success that cannot be recorded is this job's failure alone)
                self._fail(member, exc, [member])
        # They are enqueued: Celery must not do so again.
        self._task.request.chain = self._task.request.callbacks = None

    def _succeed_together(self, members: Sequence[_Member]) -> None:
        if not members:
            return
        in_doubt = False
        done: set[uuid.UUID] = set()

        def write(again: bool) -> None:
            nonlocal in_doubt
            in_doubt = in_doubt or again
            try:
                done.update(attempts.succeed_many([member.job_id for member in members], self._lease_id))
            except RowLocked as exc:
                done.update(exc.changed)
                raise

        try:
            patiently(write, PATIENCE_AFTER)
        except DatabaseGone:
            missing = [member for member in members if member.job_id not in done]
            self._unrecorded += [self._end(member, outcomes.Succeeded(), NO_FAILURE) for member in missing]
            self.succeeded += len(done)
            return
        for member in members:
            self._count(member, done=member.job_id in done or in_doubt)

    def _count(self, member: _Member, *, done: bool | None) -> None:
        """Count a success; `done` is None where it is kept for the parent, and false where the lease was lost."""
        if done:
            self.succeeded += 1
        elif done is not None:
            follow = partial(enqueue_followers, self._task.app, member.following, None)
            succeed_late(member.job_id, member.claimed.attempt, self._task.request.hostname, follow)

    def fail(
        self, members: Sequence[_Member], errors: Mapping[uuid.UUID, Exception], everybody: Sequence[_Member]
    ) -> None:
        """Record each failure."""
        for member in members:
            self._fail(member, errors[member.job_id], everybody)

    def _fail(self, member: _Member, error: Exception, everybody: Sequence[_Member]) -> None:
        outcome = decide(self._task, error, member.claimed)
        # One error may be that of all, and tell of any.
        error = redacted(self._task, error, [(one.args, one.kwargs) for one in everybody])
        failure = failure_of(error)
        end = self._end(member, outcome, failure)
        done = self._recorded(lambda: record(member.job_id, self._lease_id, outcome, failure) is not None, end)
        if member.job_id == self._delivered:
            self._tell = partial(_tell, self._task, outcome, error, failure)
        elif done and isinstance(outcome, outcomes.Dead):
            call_in_place(self._task.app, self._task.name, member.job_id, member.options, error)

    def _recorded(self, write: Callable[[], bool], end: End) -> bool | None:
        """Write an end as that of a single job. Returns None where it is kept for the parent."""
        try:
            return recorded(write, end)
        except Unrecorded as exc:
            self._unrecorded += exc.args[0]
            return None

    def _end(self, member: _Member, outcome: Outcome, failure: Failure) -> End:
        return End(member.job_id, member.claimed.attempt, outcome, failure, member.following)

    def tell(self) -> None:
        """Tell Celery of the job that was delivered, by raising, if it failed or anything could not be recorded."""
        if self._unrecorded:
            raise Unrecorded(self._unrecorded)
        self._tell()


def _nothing() -> None:
    """Say nothing: the job delivered has succeeded."""


def _tell(task: "JobTask", outcome: Outcome, error: Exception, failure: Failure) -> None:
    if isinstance(outcome, outcomes.Succeeded):
        raise Ignore(str(error))
    tell_celery(task, outcome, error, failure)
