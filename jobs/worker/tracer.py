"""Around Celery's tracer, which calls handlers, receivers of signals and the body: what any raises costs no record.

Celery lets through what is no error, and some errors of handlers; a pool process would die of it, a thread would fall
silent, and the job would be taken for lost. It also calls `before_start` before the job is claimed.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery.app.task import Context
from celery.app.trace import TraceInfo, trace_ok_t
from celery.exceptions import Ignore, Reject, Retry
from celery.states import FAILURE, RETRY

from jobs.core import described
from jobs.core.course import COURSE, Course
from jobs.worker.claim import BegunBefore, NotOurs
from jobs.worker.contained import ends_process, escaped
from jobs.worker.executor import LEFT, Refused, Unrecorded
from jobs.worker.successes import OFFERED, Left

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

logger = logging.getLogger(__name__)

Tracer = Callable[..., trace_ok_t]

#: As much of an error's traceback goes to the parent process, for events and its log, in characters.
LONGEST_TRACEBACK = 20_000

#: What the parent process knows by its class. The engine raises these, of plain arguments.
_OURS = (NotOurs, BegunBefore, Refused, Unrecorded)


class Told(Exception):
    """What the parent process sees of a task's error: its words. The error itself might not arrive there."""

    def __repr__(self) -> str:
        return str(self)


def guarded(task: "JobTask", tracer: Tracer) -> Tracer:
    """Wrap a task's tracer.

    What it returns says whether the attempt's success was left to the parent process, and holds nothing that this
    could not read. It raises nothing but what ends the process.
    """

    def trace(uuid: str, args: Any, kwargs: Any, request: dict[str, Any] | None = None) -> trace_ok_t:
        if not request:
            return tracer(uuid, args, kwargs, request)
        course = Course()
        left: list[int] = []
        own = course.of(request) | ({LEFT: left} if request.get(OFFERED) else {})
        traced = _traced(task, course, lambda: tracer(uuid, args, kwargs, own), own)
        if not course.has_begun and traced.info is not None:
            course.error = traced.info.retval
            traced = _traced(task, course, lambda: _begin(task, args, kwargs, own), own)
        if left:
            return traced._replace(retstr=Left(traced.retstr, *left))
        if traced.info is not None and os.getpid() != request.get("parent_pid"):
            return traced._replace(retval=_readable(traced.retval))
        return traced

    return trace


def within_attempt(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a task's `before_start`: Celery's call of it does nothing, since the engine calls it after the claim."""

    @wraps(hook)
    def before_start(self: "JobTask", *args: Any, **kwargs: Any) -> Any:
        course = self.request.get(COURSE)
        return hook(self, *args, **kwargs) if course is None or course.has_begun else None

    return before_start


def _traced(task: "JobTask", course: Course, trace: Callable[[], trace_ok_t], request: dict[str, Any]) -> trace_ok_t:
    """Return what Celery makes of an attempt. What is raised after a success was recorded changes nothing."""
    begun_at = time.monotonic()
    try:
        traced = trace()
    except BaseException as exc:
        if ends_process(exc, request.get("parent_pid")):
            raise
        error = exc if isinstance(exc, Exception) else escaped(exc)
        state = RETRY if isinstance(exc, Retry) else FAILURE
        traced = trace_ok_t(ExceptionInfo((type(error), error, exc.__traceback__)), TraceInfo(state, error), None, None)
    if course.has_returned and traced.info is not None:
        logger.error(
            "%s[%s] has succeeded; what was raised after that is only logged: %s",
            task.name,
            request.get("id"),
            described.shown(traced.info.retval),
        )
        return trace_ok_t(None, None, time.monotonic() - begun_at, "")
    return traced


def _begin(task: "JobTask", args: Any, kwargs: Any, request: dict[str, Any]) -> trace_ok_t:
    """Have the engine record the error that was raised before it was called. Raises as the engine does."""
    task.request_stack.push(Context(request, args=args, kwargs=kwargs, called_directly=False))
    try:
        return trace_ok_t(task(*args, **kwargs), None, None, "")
    finally:
        task.request_stack.pop()


def _readable(info: ExceptionInfo) -> ExceptionInfo:
    error = info.exception.exc if isinstance(info.exception, ExceptionWithTraceback) else info.exception
    if isinstance(error, _OURS):
        return info
    plain = _plain(error)
    info.type, info.traceback = type(plain), str(info.traceback)[-LONGEST_TRACEBACK:]
    info.exception = ExceptionWithTraceback(plain, info.traceback)
    return info


def _plain(error: BaseException) -> Exception:
    message, shown = described.message(error), described.shown(error)
    plain: Exception = Told(shown)
    match error:
        case Retry():
            plain = Retry(message, exc=Told(described.shown(error.exc or error)), when=error.when)
        case Reject():
            plain = Reject(message, requeue=False)
        case Ignore():
            plain = Ignore(message)
        case MemoryError():
            plain = MemoryError(message)
    return plain
