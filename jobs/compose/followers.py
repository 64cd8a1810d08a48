"""What follows a job: its links and the next step of its chain where it succeeded, its error links where it gave up.

They are called as Celery's own tracer would call them, within the transaction that records the outcome. Jobs are
written in that transaction. Plain tasks have no row: they are sent when it has committed, as late as what they follow
is sure to have happened.
"""

import contextlib
import logging
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from celery import Celery
from celery.app.task import Context
from celery.canvas import Signature, _chain, _chord, group, maybe_signature
from celery.exceptions import NotRegistered
from celery.utils.functional import arity_greater
from django.db import DataError, IntegrityError, transaction
from kombu.utils.json import dumps, loads

from jobs.core import described
from jobs.enqueue.gathering import continuing
from jobs.enqueue.message import HasMessage
from jobs.enqueue.parents import enqueuing_for
from jobs.errors import EnqueueError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Following:
    """What follows a job that succeeds, as its message or its row says. Plain values: it goes from process to process.

    Attributes:
        job_id: in the ledger; Celery's `task_id` may be any text.
        links, chain: signatures as Celery's message has them; the chain's last one is the next step.
    """

    task: str
    job_id: uuid.UUID
    task_id: str
    root_id: str
    correlation_id: str
    links: tuple[Any, ...] = ()
    chain: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.links or self.chain)


def following_row(task: str, job_id: uuid.UUID, correlation_id: str, options: Mapping[str, Any] | None) -> Following:
    """Return what follows a job, by its row."""
    kept = options or {}
    links, chain = tuple(kept.get("link") or ()), tuple(kept.get("chain") or ())
    root_id = str(kept.get("root_id") or job_id)
    return Following(task, job_id, str(job_id), root_id, correlation_id or str(job_id), links, chain)


def enqueue_followers(app: Celery, following: Following, result: Any) -> None:
    """Call what follows a job that succeeded with this result, within the transaction that records its success.

    Raises:
        EnqueueError: a job that follows cannot be enqueued.
    """
    lineage = {"parent_id": following.task_id, "root_id": following.root_id}
    source = f"{following.task}[{following.task_id}] succeeded"
    with enqueuing_for(following.job_id, following.correlation_id):
        for link in following.links:
            call(app, source, link, (result,), lineage)
        if following.chain:
            *rest, step = following.chain
            call(app, source, step, (result,), {**lineage, "chain": rest})


def enqueue_error_links(app: Celery, job: HasMessage) -> None:
    """Call the error links of a job that gave up, within the transaction that records that: each gets the job's id.

    Those that take more than an id are not called here but in place, as Celery does (`in_place`). One that cannot be
    enqueued is told of in the log, and takes nothing back: the job is dead all the same.
    """
    kept, job_id = job.options or {}, str(job.id)
    lineage = {"parent_id": job_id, "root_id": str(kept.get("root_id") or job_id)}
    source = f"{job.task}[{job_id}] gave up"
    with enqueuing_for(job.id, job.correlation_id):
        for link in kept.get("link_error") or ():
            if not in_place(app, [link]):
                try_to_call(app, source, link, job_id, lineage)


def try_to_call(app: Celery, source: str, link: Any, argument: Any, lineage: Mapping[str, Any]) -> None:
    """Call what takes nothing back where it cannot be enqueued: that is told of in the log."""
    try:
        # What the database refuses is taken back to here.
        with transaction.atomic():
            call(app, source, link, (argument,), lineage)
    except (EnqueueError, DataError, IntegrityError):
        logger.exception("%s, but its error link %s cannot be enqueued.", source, _name(link))


def in_place(app: Celery, links: Iterable[Any] | None) -> list[Any]:
    """Return those error links that Celery calls in place, with request, error and traceback."""
    found = []
    for link in links or ():
        # Whoever enqueues the others says of one that is no signature what is wrong with it.
        with contextlib.suppress(NoSignature):
            if is_called_in_place(_signature(app, link)):
                found.append(link)
    return found


def call_in_place(
    app: Celery, task: str, job_id: uuid.UUID, options: Mapping[str, Any] | None, error: BaseException
) -> None:
    """Call the error links that take more than an id, for a job that gave up where no request of it is at hand."""
    kept = options or {}
    context = Context(id=str(job_id), task=task, root_id=kept.get("root_id") or str(job_id), errbacks=[])
    for link in in_place(app, kept.get("link_error")):
        signature = _signature(app, link)
        try:
            signature(context, error, None)
        except Exception:
            logger.exception("The error link %s of %s[%s] failed.", signature.task, task, job_id)


def is_called_in_place(signature: Signature) -> bool:
    """Return whether Celery calls an error link as a function; by the rule of its `Backend._call_task_errbacks`."""
    try:
        header = getattr(signature.type, "__header__", None)
    except NotRegistered:
        return False
    if header is None or isinstance(header, partial):
        return False
    if not signature.immutable and (signature.args or signature.kwargs):
        # Counted is what the failure still has to say. Arguments that do not fit are the link's own error, later.
        with contextlib.suppress(TypeError, ValueError):
            return bool(arity_greater(partial(header, *signature.args, **signature.kwargs), 1))
    return bool(arity_greater(header, 1))


#: What Celery raises where a signature does not hold what it should.
_ODD = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


class NoSignature(EnqueueError):
    """Raised where what follows a job is nothing that could be called: a foreign message may hold anything there."""

    def __init__(self, link: Any, error: Exception) -> None:
        super().__init__(f"{_name(link)} is no signature that can be called: {described.shown(error)}")


def _signature(app: Celery, link: Any) -> Signature:
    try:
        # A row holds times, and other values that JSON has not, as a message does; it is read as that would be.
        read = loads(dumps(link)) if isinstance(link, Mapping) else link
        signature: Signature = maybe_signature(read, app=app)
        if isinstance(signature.task, str):
            return signature
        raise TypeError("it names no task")
    except _ODD as exc:
        raise NoSignature(link, exc) from exc


def _name(link: Any) -> str:
    task = link.get("task") if isinstance(link, Mapping) else None
    return task if isinstance(task, str) else f"{link!r:.100}"


def call(app: Celery, source: str, link: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Call what follows. Raises EnqueueError where it never can be, and what database or broker raise where not now."""
    signature = _signature(app, link)
    try:
        apply = partial(signature.apply_async, arguments, **options)
        if is_plain(signature, app):
            transaction.on_commit(partial(_send, source, signature, apply))
        else:
            with continuing():
                apply()
    except EnqueueError:
        raise
    except _ODD as exc:
        raise NoSignature(link, exc) from exc


def is_plain(signature: Signature, app: Any) -> bool:
    """Return whether nothing of what is called at once is a job."""
    if isinstance(signature, group):
        return all(is_plain(one, app) for one in signature.tasks)
    if isinstance(signature, _chain):
        return is_plain(signature.tasks[0], app)
    if isinstance(signature, _chord):
        return False
    return not hasattr(app.tasks.get(signature.task), "check_arguments")


def _send(source: str, signature: Signature, call: "partial[Any]") -> None:
    try:
        call()
    except Exception:
        # The outcome is recorded. What is not in the ledger cannot be sent again.
        logger.exception("%s, but the plain task %s that follows it could not be sent.", source, signature.task)
