"""A body ends by itself: where its task asks whether anybody still wants the job, and between two of its steps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from jobs.compose.attempt_steps import Interrupted, of_attempt
from jobs.errors import Cancel
from jobs.ledger.claims import Claimed
from jobs.worker.started_flags import started

#: What is said of a job that was cancelled while it ran.
WORDS = "An operator cancelled it while it ran."


class WorkerStopped(Exception):
    """The error of a job that went back between two of its steps."""


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


@contextmanager
def with_steps(job: Claimed, *, has_steps: bool, encrypt: bool) -> Iterator[None]:
    """Let a body have steps, unless it runs for several jobs.

    Raises:
        WorkerStopped: the worker is told to stop, and the body was about to begin its next step.
        Cancel: its job was cancelled, likewise.
    """
    try:
        with of_attempt(job.id, job.lease_id, let_end=_let_end, has_steps=has_steps, encrypt=encrypt):
            yield
    except Interrupted:
        raise WorkerStopped(
            "The worker was stopped before the next step of the job, which goes on from there."
        ) from None


def _let_end() -> None:
    check_cancelled()
    if started.is_stopped():
        raise Interrupted
