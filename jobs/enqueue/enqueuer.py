"""From a call to a row: check everything, insert in the caller's transaction, hand over to dispatch on commit."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from celery._state import get_current_worker_task
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.utils import timezone
from kombu.utils.json import loads

from jobs.conf import conf
from jobs.core import correlation
from jobs.core.canonical import encode, why_not_storable
from jobs.core.delivery import MOST_HEADERS
from jobs.core.places import named_body, place_of, without_bodies
from jobs.core.unique_rule import UniqueRule
from jobs.core.versions import OPTION as VERSION
from jobs.enqueue import publish_signals, tracing
from jobs.enqueue.dispatcher import dispatch
from jobs.enqueue.gathering import Gathering, as_member, gathered, is_there, take_place
from jobs.enqueue.message import body_size
from jobs.errors import InvalidArguments, InvalidOption
from jobs.ledger.enqueue import NewJob, Written, has_come, insert_many, there, write
from jobs.tasks.encryption import argument_texts, with_encrypted_signatures
from jobs.tasks.keys import limit_key, tenant
from jobs.tasks.options import Options, check_carried, deadline, due, expiry, is_routed, job_id_of, placed, retries_of
from jobs.tasks.redaction import hidden_names
from jobs.tasks.uniqueness import rule_of, unique_keys

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


#: Options of `apply_async` that travel in the message and are kept with the row for its re-sending.
_MESSAGE_OPTIONS = frozenset(
    {
        *("headers", "link", "link_error", "chain", "group_id", "group_index", "root_id", "shadow"),
        *("time_limit", "soft_time_limit", "replaced_task_nesting", "properties"),
    }
)


#: Those of them that hold signatures.
_FOLLOWERS = frozenset({"link", "link_error", "chain"})


def enqueue(task: "JobTask", args: Sequence[Any], kwargs: Mapping[str, Any], options: Options) -> Written:
    """Write one job in the caller's transaction and have it dispatched when that commits.

    Returns:
        The job, which may have been there: under its id, or with its unique key.

    Raises:
        InvalidArguments: the arguments do not fit the signature, are not JSON, or are too large.
        InvalidOption: the queue is unknown, the priority out of range, a time of the wrong type, …
    """
    alike = _Jobs(task, options)
    job = alike.make(args, kwargs)
    if alike.place is not None:
        alike.join([job])
        return Written(job.id, is_new=True)
    written = write(job)
    _dispatch_on_commit([job], [written.id])
    return written


def enqueue_many(
    task: "JobTask",
    calls: Sequence[tuple[Sequence[Any], Mapping[str, Any]]],
    options: Options,
    correlation_ids: Sequence[str] = (),
) -> list[Written]:
    """Write many jobs of one task in one insert, and publish them together on commit: all of them or none.

    Args:
        task: of them all.
        calls: the arguments of each.
        options: of them all.
        correlation_ids: of each, where they differ.

    Returns:
        The jobs, in the order of `calls`.

    Raises:
        As `enqueue`; the message says which of the calls is at fault.
    """
    alike = _Jobs(task, options)
    jobs: list[NewJob] = []
    for index, (args, kwargs) in enumerate(calls):
        try:
            jobs.append(alike.make(args, kwargs, correlation_ids[index] if correlation_ids else ""))
        except InvalidArguments as exc:
            raise InvalidArguments(f"Job {index} of {len(calls)}: {exc}") from exc
    if alike.place is not None:
        alike.join(jobs)
        return [Written(job.id, is_new=True) for job in jobs]
    return _write(jobs)


def write_group(gathering: Gathering) -> None:
    """Write a group and what was gathered of it, in one transaction or the caller's, and have its jobs dispatched."""
    parent = _parent()
    with transaction.atomic():
        if gathering.outer is not None:
            take_place(gathering.outer, "The body of a chord")
        ids = gathering.write(parent.id, parent.correlation_id)
        _dispatch_on_commit(gathering.jobs, ids)


def _write(jobs: Sequence[NewJob]) -> list[Written]:
    with transaction.atomic():
        ids = insert_many(jobs)
        _dispatch_on_commit(jobs, ids)
    return [Written(job_id, is_new=job_id == job.id) for job, job_id in zip(jobs, ids, strict=True)]


def _dispatch_on_commit(jobs: Sequence[NewJob], ids: Sequence[uuid.UUID]) -> None:
    """Tell Celery's receivers that jobs are written, and have these dispatched after the caller's commit.

    Nothing that goes wrong there is the caller's error any more.

    Left out is one that waits for its time, or was not written, since another is in its place: its id is not its own.

    Where the caller commits by hand (autocommit is off outside of `atomic`), Django tells nobody of the commit:
    maintenance finds the rows and dispatches them.
    """
    publish_signals.after(jobs)
    ready = [job for job, job_id in zip(jobs, ids, strict=True) if job.id == job_id and not job.waits]
    now = timezone.now()
    ready = [
        job if job.expires_in is None else job._replace(expires_at=now + timedelta(seconds=job.expires_in))
        for job in ready
    ]
    database = connections[DEFAULT_DB_ALIAS]
    if ready and (database.in_atomic_block or database.get_autocommit()):
        database.on_commit(lambda: dispatch(ready), robust=True)


def _ahead(task: "JobTask", options: Options) -> Options:
    """Return the options without a time that has come. The database's clock decides: ours may be wrong."""
    _, run_at = due(task, options)
    return replace(options, eta=None) if run_at is not None and has_come(run_at) else options


def _in_time(
    delay: float | None, run_at: datetime | None, longest: float | None
) -> tuple[float | None, datetime | None]:
    """Return when a job is due, and not later than its rule lets further calls put it off."""
    if longest is None:
        return delay, run_at
    latest = timezone.now() + timedelta(seconds=longest)
    return (None if delay is None else min(delay, longest)), (None if run_at is None else min(run_at, latest))


class _Jobs:
    """Makes the jobs of one call: what they have in common is checked and written out once.

    Raises:
        InvalidArguments, InvalidOption: as `enqueue`.
    """

    def __init__(self, task: "JobTask", options: Options) -> None:
        options = _ahead(task, options)
        check_carried(task, options)
        rule = rule_of(task, {"unique": options.unique, **options.uniqueness})
        delay, run_at = _in_time(*due(task, options), rule.max_delay)
        expires_in, expires_at = expiry(task, options)
        deadline_in, deadline_at = deadline(task, options)
        parent = _parent()
        self._task, self._options, self._rule = task, options, rule
        carried = _carried(task, options)
        #: Their place in a group: each is a member, or leads to one.
        place = place_of(carried)
        self.place = place if place is not None and is_there(place) else None
        if self.place is not None:
            # A member that relied on another job would never end.
            self._rule = UniqueRule()
        self._new = partial(
            NewJob,
            given_id=options.task_id is not None,
            task=task.name,
            replay_of=options.replay_of,
            options=carried,
            max_retries=retries_of(task, options.max_retries),
            delay=delay,
            run_at=run_at,
            expires_in=expires_in,
            expires_at=expires_at,
            deadline_in=deadline_in,
            deadline_at=deadline_at,
            parent_id=parent.id,
            group_id=None if self.place is None else self.place.group_id,
            group_index=None if self.place is None else self.place.index,
            breaker=task.breaker,
        )
        self._correlation_id = options.correlation_id or parent.correlation_id
        #: The queue and the priority of them all, unless the arguments have a say.
        self._place = None if is_routed(task) else placed(task, options, (), {})

    def make(self, args: Sequence[Any], kwargs: Mapping[str, Any], correlation_id: str = "") -> NewJob:
        """Return a job with these arguments, and with this correlation id in the place of the call's."""
        task, options = self._task, self._options
        task.check_arguments(args, kwargs)
        queue, priority = self._place or placed(task, options, args, kwargs)
        keys = () if self.place is not None else unique_keys(task, args, kwargs, options.unique)
        key, *earlier = keys or (None,)
        args_text, kwargs_text = argument_texts(
            json_text(task, "args", list(args)) if args else "[]",
            json_text(task, "kwargs", dict(kwargs)) if kwargs else "{}",
            encrypt=task.encrypt,
        )
        job = self._new(
            id=job_id_of(task, options.task_id),
            correlation_id=correlation_id or self._correlation_id,
            queue=queue,
            priority=priority,
            args=args_text,
            kwargs=kwargs_text,
            unique_key=key,
            earlier_keys=tuple(earlier),
            unique_rule=self._rule,
            limit_key=limit_key(task, args, kwargs),
            tenant=tenant(task, args, kwargs),
        )
        _check_size(job)
        return publish_signals.before(job)

    def join(self, jobs: Sequence[NewJob]) -> None:
        """Write jobs that have a place in a group; gather them where it is in the making."""
        if self.place is None:
            return
        group = gathered(self.place.group_id)
        if group is not None:
            for job in jobs:
                group.add(job, self.place)
            return
        with transaction.atomic():
            known = there([job.id for job in jobs if job.given_id])
            fresh = [job for job in jobs if job.id not in known]
            if not fresh:
                return
            ways = self.place.ways
            grown = take_place(replace(self.place, ways=ways * len(fresh)), self._task.name)
            if grown is not None:
                fresh = [as_member(job, grown.first + at * ways, grown.body) for at, job in enumerate(fresh)]
            _write(fresh)


def _carried(task: "JobTask", options: Options) -> dict[str, Any] | None:
    """Return what a job's message says besides its arguments, ready for JSON; None where that is nothing."""
    carried = {name: value for name, value in options.message.items() if name in _MESSAGE_OPTIONS and value}
    if options.message.get("group_index") == 0:
        carried["group_index"] = 0
    ignores = options.message.get("ignore_result")
    if ignores is not None and ignores is not task.ignore_result:
        carried["ignore_result"] = ignores
    if traced := tracing.outgoing_headers():
        carried["headers"] = {**traced, **carried.get("headers", {})}
    if task.version > 1:
        carried[VERSION] = task.version
    if not carried:
        return None
    kept = json.loads(json_text(task, "options", carried))
    if "headers" in kept and (size := len(json.dumps(kept["headers"]))) > MOST_HEADERS:
        raise InvalidOption(
            f"{task.name}: the headers have {size:,} bytes: they must not have more than {MOST_HEADERS:,}, what every"
            " broker can carry. Store the data and pass its id."
        )
    followers = {name: with_encrypted_signatures(kept[name]) for name in _FOLLOWERS & kept.keys()}
    if isinstance(body := options.message.get("chord"), Mapping):
        # Its group has the whole of it. To write that out for each member would cost as much as the rest of the call.
        followers["chord"] = named_body(body)
    return without_bodies({**kept, **followers})


@dataclass(frozen=True, slots=True)
class _Parent:
    id: uuid.UUID | None = None
    correlation_id: str = ""


#: The job for which jobs are enqueued: unlike Celery's current task it is known in coroutines and their threads too.
_enqueuing: ContextVar[_Parent | None] = ContextVar("enqueuing", default=None)


@contextmanager
def enqueuing_for(job_id: uuid.UUID, correlation_id: str) -> Iterator[None]:
    """Let the jobs enqueued meanwhile be children of this job, and belong together with it."""
    token = _enqueuing.set(_Parent(job_id, correlation_id or str(job_id)))
    try:
        yield
    finally:
        _enqueuing.reset(token)


def _parent() -> _Parent:
    """Return the job in whose task this code runs; outside of any, the request that it is part of."""
    if (given := _enqueuing.get()) is not None:
        return given
    task = get_current_worker_task()
    job_id = getattr(getattr(task, "request", None), "job_id", None)
    if job_id is None:
        return _Parent(correlation_id=correlation.current())
    return _Parent(job_id, getattr(task.request, "job_correlation_id", "") or str(job_id))


def json_text(task: "JobTask", name: str, value: object) -> str:
    """Return `value` as the JSON that the ledger can hold, the same on every database and after every reading.

    Raises:
        InvalidArguments: there is none.
    """
    try:
        text = encode(value)
    except (TypeError, ValueError, RecursionError) as exc:
        shown = "" if hidden_names(task.name) else f"={_shown(value)}"
        raise InvalidArguments(f"{task.name}: {name}{shown} cannot be written as JSON: {exc}.") from None
    if why := why_not_storable(text):
        raise InvalidArguments(f"{task.name}: {name} holds {why}.")
    if '"__type__"' in text:
        _check_readable(task, name, text)
    return text


def _shown(value: object) -> str:
    try:
        return f"{value!r:.200}"
    except Exception as exc:  # noqa: BLE001 (the value's own `__repr__` fails: the error must still name the argument)
        return f"a {type(value).__qualname__} that cannot be shown ({type(exc).__name__})"


def _check_readable(task: "JobTask", name: str, text: str) -> None:
    """Refuse what Kombu would take for one of its own types when it reads the arguments, and could not make."""
    try:
        loads(text)
    except Exception as exc:  # noqa: BLE001 (the constructors of those types raise what they like)
        reason = type(exc).__name__ if hidden_names(task.name) else exc
        raise InvalidArguments(
            f'{task.name}: {name} holds an object with the key "__type__", which marks a value of Kombu\'s own, and it'
            f" cannot be read: {reason}. Use another key."
        ) from None


def _check_size(job: NewJob) -> None:
    limit, size = conf().max_message_bytes, body_size(job)
    if size > limit:
        raise InvalidArguments(
            f"{job.task}: the message body has {size:,} bytes: it must not have more than {limit:,}"
            " (JOBS_MAX_MESSAGE_BYTES). Store the data and pass its id."
        )
