"""`check_cancelled()`: a task asks whether anybody still wants its job."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from jobs.errors import Cancel
from jobs.worker.started_flags import started

#: What is said of a job that was cancelled while it ran.
WORDS = "An operator cancelled it while it ran."

#: The slots of the jobs at hand; known in coroutines and their threads too.
_slots: ContextVar[Sequence[int]] = ContextVar("slots", default=())


def check_cancelled() -> None:
    """End the job at hand where it was cancelled; to be called where a task can stop, as often as it likes.

    It costs no query. A task that has called it, or `progress()`, which does, is given some seconds to end by itself
    when its job is cancelled, so that it can leave things in order; any other is ended from outside at once. Before
    each step, and after each row of `each()`, the engine asks by itself. In a batch it ends the call when all its jobs
    are cancelled. Outside of a job it does nothing.

    Raises:
        Cancel: it was cancelled. Let it pass: whoever catches it must raise it again.
    """
    asked = [started.asks_cancelled(slot) for slot in _slots.get()]
    if asked and all(asked):
        raise Cancel(WORDS)


@contextmanager
def running(slots: Sequence[int]) -> Iterator[None]:
    """Let what is called meanwhile ask for the jobs in these slots."""
    token = _slots.set(slots)
    try:
        yield
    finally:
        _slots.reset(token)
