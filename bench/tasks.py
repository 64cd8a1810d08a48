"""Our side: the smallest jobs there are. Found by the project's worker when EXTRA_APPS names this package."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from celery import chord

from bench.failing import Broken
from bench.figures import TURN_SECONDS
from bench.marks import FLOODED, marks
from jobs import Breaker, job
from jobs.enqueue import dispatcher
from search import indexing
from search.documents import kind as kind_of


@job(queue="default")
def nothing(number: int) -> None:
    """Leave a mark, do nothing."""
    marks().ran(number)


@job(queue="default", breaker=Breaker("bench"))
def guarded(number: int) -> None:
    """Leave a mark; it names a dependency, which is always there."""
    marks().ran(number)


@job(queue="default", breaker=Breaker("bench"), key=lambda number: str(number % 100), concurrency=50)
def limited(number: int) -> None:
    """Leave a mark; it names a dependency, and of each of a hundred keys some may run at once."""
    marks().ran(number)


@job(queue="default", tenant=lambda number: "few")  # noqa: ARG005 (whose they are, whatever it is)
def of_few(number: int) -> None:
    """Take as long as `of_many`; leave a mark at the end."""
    time.sleep(TURN_SECONDS)
    marks().ran(number)


@job(queue="default", tenant=lambda number: "many")  # noqa: ARG005
def of_many(number: int) -> None:
    """Take a while, and leave one mark for all of its kind."""
    marks().ran(FLOODED)
    time.sleep(TURN_SECONDS)


@job(queue="default", ignore_result=False)
def returns(number: int) -> int:
    """Leave a mark; the result is kept."""
    marks().ran(number)
    return number


@job(queue="default")
def follows(results: list[None]) -> None:
    """End a chord."""


@job(bind=True, queue="default", retry_backoff=0)
def fails_once(self: Any, number: int) -> None:
    """Fail; leave a mark when tried again."""
    if not self.request.retries:
        raise Broken("It works the second time.")
    marks().ran(number)


@job(queue="default", max_retries=0)
def dies(number: int) -> None:
    """Leave a mark and fail for good."""
    marks().ran(number)
    raise Broken("It never works.")


@job(queue="indexing", time_limit=120)
def index_one(kind: str, pk: str) -> None:
    """Index one document, as a task without batches would."""
    indexing.index(kind_of(kind), [pk])


def sender(task: str) -> Callable[[int], object]:
    """Return what enqueues one job of the task."""
    send: Callable[[int], object] = globals()[task].delay
    return send


def bulk_sender(task: str) -> Callable[[Sequence[int]], object]:
    """Return what enqueues many jobs of the task together; `chord` is one of `nothing`."""
    if task == "chord":
        return lambda numbers: chord([nothing.s(number) for number in numbers], follows.s()).delay()
    delay_many = globals()[task].delay_many
    return lambda numbers: delay_many([(number,) for number in numbers])


def settle() -> None:
    """Wait until the broker has everything."""
    dispatcher.flush(timeout=120)
