"""From a call to a row: check everything, insert in the caller's transaction, hand over to dispatch on commit."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from jobs.conf import conf
from jobs.core.places import Place, place_of
from jobs.core.unique_rule import UniqueRule
from jobs.enqueue import publish_signals
from jobs.enqueue.carried import carried_by, json_text
from jobs.enqueue.dispatcher import dispatch
from jobs.enqueue.gathering import Gathering, as_members, gather, is_there, take_place
from jobs.enqueue.message import body_size
from jobs.enqueue.parents import parent_job
from jobs.errors import InvalidArguments
from jobs.ledger.enqueue import NewJob, Written, database_time, insert
from jobs.ledger.enqueue_once import write, write_many
from jobs.tasks.encryption import argument_texts
from jobs.tasks.keys import limit_key, tenant
from jobs.tasks.options import Options, check_carried, job_id_of, retries_of
from jobs.tasks.routes import is_routed, placed
from jobs.tasks.times import ahead, deadline, due, expiry
from jobs.tasks.uniqueness import in_time, rule_of, unique_keys

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask


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
        return _join(alike.place, [job])[0]
    written = write(job) if job.may_be_there else insert(job)
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
    return _write(jobs) if alike.place is None else _join(alike.place, jobs)


def write_group(gathering: Gathering) -> None:
    """Write a group and what was gathered of it, in one transaction or the caller's, and have its jobs dispatched."""
    parent = parent_job()
    with transaction.atomic():
        if gathering.outer is not None:
            take_place(gathering.outer, "The body of a chord")
        ids = gathering.write(parent.id, parent.correlation_id)
        _dispatch_on_commit(gathering.jobs, ids)


def _join(place: Place, jobs: Sequence[NewJob]) -> list[Written]:
    """Write jobs that have a place in a group; where it is in the making, they are gathered and written with it."""
    if not gather(place, jobs):
        with transaction.atomic():
            _write(as_members(place, jobs))
    return [Written(job.id, is_new=True) for job in jobs]


def _write(jobs: Sequence[NewJob]) -> list[Written]:
    with transaction.atomic():
        ids = write_many(jobs)
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
    if any(job.expires_in is not None for job in ready):
        ready = _with_expiry(ready)
    database = connections[DEFAULT_DB_ALIAS]
    if ready and (database.in_atomic_block or database.get_autocommit()):
        database.on_commit(lambda: dispatch(ready), robust=True)


def _with_expiry(jobs: Sequence[NewJob]) -> list[NewJob]:
    """Return jobs with the times at which they expire, for their messages: by the database's clock."""
    now = database_time()
    return [
        job if job.expires_in is None else job._replace(expires_at=now + timedelta(seconds=job.expires_in))
        for job in jobs
    ]


class _Jobs:
    """Makes the jobs of one call: what they have in common is checked and written out once.

    Raises:
        InvalidArguments, InvalidOption: as `enqueue`.
    """

    def __init__(self, task: "JobTask", options: Options) -> None:
        options = ahead(task, options)
        check_carried(task, options)
        rule = rule_of(task, {"unique": options.unique, **options.uniqueness})
        delay, run_at = in_time(rule, *due(task, options))
        expires_in, expires_at = expiry(task, options)
        deadline_in, deadline_at = deadline(task, options)
        parent = parent_job()
        self._task, self._options, self._rule = task, options, rule
        carried = carried_by(task, options)
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


def _check_size(job: NewJob) -> None:
    limit, size = conf().max_message_bytes, body_size(job)
    if size > limit:
        raise InvalidArguments(
            f"{job.task}: the message body has {size:,} bytes: it must not have more than {limit:,}"
            " (JOBS_MAX_MESSAGE_BYTES). Store the data and pass its id."
        )
