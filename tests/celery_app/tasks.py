# mypy: disable-error-code="untyped-decorator,misc"
"""Plain tasks, each of which says something that `@job` would change."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from celery import Task, current_app, shared_task

from accounts.models import User


class Reporting(Task):
    """A base as projects have them."""

    abstract = True
    acks_late = True

    def on_failure(self, *args: Any, **kwargs: Any) -> None:
        """Tell somebody."""


@shared_task
def bare() -> None:
    """Say nothing."""


@shared_task(
    autoretry_for=(ConnectionError, TimeoutError), retry_kwargs={"max_retries": 7, "countdown": 5}, time_limit=60
)
def steady() -> None:
    """Retry with one delay."""


@shared_task(autoretry_for=(OSError,), retry_backoff=True, max_retries=None, soft_time_limit=20, time_limit=25)
def backing_off() -> None:
    """Retry with growing delays."""


@shared_task(bind=True, max_retries=9, default_retry_delay=30)
def by_hand(self: Any, url: str) -> None:
    """Retry itself, and tell how far it is."""
    self.update_state(state="PROGRESS", meta={"url": url})
    raise self.retry()


@shared_task(base=Reporting, name="billing.charge", queue="billing", throws=(KeyError,), ignore_result=False)
def charge(order: int) -> None:
    """Do with a base of its own."""


@shared_task(rate_limit="10/m", acks_late=True, reject_on_worker_lost=True, acks_on_timeout=False, track_started=True)
def late() -> None:
    """Say much about acknowledgements."""


NOTHING = object()


@shared_task(serializer="pickle", compression="gzip", priority=0, routing_key="x", price_list="mine")
def oddly_sent(
    user: User | None, when: date = date(2026, 1, 1), price: Decimal = Decimal(1), at: Any = NOTHING
) -> None:
    """Take what is no JSON."""


@shared_task(queue="email.dead", pydantic=True)
def misplaced(names: frozenset[str] = frozenset(), *, raw: list[bytes] | None = None) -> None:
    """Go to a queue whose name is the engine's."""


@shared_task
def generator() -> Iterator[int]:
    """Have a body that nobody runs."""
    yield 1


class Classy(Task):
    """A task as it was written before decorators."""

    name = "celery_app.classy"

    def run(self, number: int) -> int:
        """Return what it is given."""
        return number


current_app.register_task(Classy())
