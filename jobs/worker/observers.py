"""What looks on while a job runs: traces, error reports. Each is asked for a context around the attempt."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.enqueue import tracing

if TYPE_CHECKING:
    from celery.app.task import Context

    from jobs.tasks.task import JobTask

_scopes: list[Callable[[], AbstractContextManager[Any]]] = []


def add_scope(scope: Callable[[], AbstractContextManager[Any]]) -> None:
    """Have each attempt run within such a context."""
    _scopes.append(scope)


def attempt(task: "JobTask", request: "Context") -> AbstractContextManager[Any]:
    """Return the context in which an attempt is to run."""
    return _within_all(task) if _scopes else tracing.attempt(task)


@contextmanager
def _within_all(task: "JobTask") -> Iterator[None]:
    with ExitStack() as stack:
        for scope in _scopes:
            stack.enter_context(scope())
        stack.enter_context(tracing.attempt(task))
        yield


def ended(outcome: Outcome, error: Exception | None) -> None:
    """Let the attempt's trace say what became of it. Called within its context."""
    if not isinstance(outcome, outcomes.Succeeded):
        tracing.attempt_ended(outcome, error)
