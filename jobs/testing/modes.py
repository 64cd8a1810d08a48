"""Where jobs go in a test: they run at once, or wait in the ledger until the test runs them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from celery import current_app

from jobs.enqueue.dispatcher import dispatching_by
from jobs.enqueue.message import HasMessage


@contextmanager
def inline() -> Iterator[None]:
    """Run what is called at once, in the caller: there is no row, and what the task raises comes out of the call.

    The arguments are checked as otherwise. No attempt follows one that failed.
    """
    conf = current_app.conf
    before = conf.task_always_eager, conf.task_eager_propagates
    conf.task_always_eager = conf.task_eager_propagates = True
    try:
        yield
    finally:
        conf.task_always_eager, conf.task_eager_propagates = before


@contextmanager
def memory() -> Iterator[None]:
    """Let jobs wait in the test's database until `run_jobs()`: no message is sent, and there need be no broker."""
    with dispatching_by(_keep):
        yield


def _keep(jobs: Sequence[HasMessage]) -> None:
    """Send nothing: the row is there."""
