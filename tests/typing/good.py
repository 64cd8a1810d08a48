"""Calls that type checkers let pass."""

from datetime import timedelta
from typing import Any, NamedTuple, assert_type

from celery import chain

from jobs import Batch, JobTask, each, job, step


@job
def resize(picture: str, width: int = 320) -> bytes:
    """Stand for a plain task."""
    return picture.encode()[:width]


@job(queue="pictures", max_retries=3)
def describe(picture: str, *, language: str) -> str:
    """Stand for a task with options."""
    return picture + language


@job(bind=True)
def crop(self: JobTask, picture: str, width: int) -> int:
    """Stand for a bound task: the calls do not give it itself."""
    self.retry(countdown=1, throw=False)
    return len(picture) + width


@job(bind=True)
def open_ended(self: Any, /, picture: str, **details: str) -> None:
    """Stand for a bound task that takes any names; itself is none of them."""


@job
async def fetch(address: str) -> bytes:
    """Stand for a coroutine."""
    return address.encode()


class Picture(NamedTuple):
    """What a job of the batch task is given."""

    name: str


@job(batch=100)
def index(batch: Batch[Picture]) -> None:
    """Stand for a batch task: its jobs' arguments are checked at the call alone."""


resize.delay("a.png")
resize.delay("a.png", width=640)
assert_type(resize("a.png"), bytes)
describe.delay("a.png", language="en")
crop.delay("a.png", 3)
open_ended.delay("a.png", alt="A picture")
fetch.delay("https://example.com/a.png")
index.delay("a.png")

resize.apply_async(("a.png",), countdown=3, priority=9)
resize.apply_async(kwargs={"picture": "a.png"}, eta=None, expires=timedelta(hours=1), queue="pictures")
resize.delay_many([("a.png",), ["b.png", 640], {"picture": "c.png"}], priority=1)

resize.s("a.png", 640)
resize.si("a.png")
# Each takes what the one before returned.
chain(describe.s("a.png", language="en"), resize.s(), crop.s(3))
chain(describe.si("a.png", language="en"), resize.s(width=3))


def enqueue(task: JobTask) -> None:
    """Take any task."""
    task.delay("anything", that=1)


enqueue(resize)
enqueue(crop)


def charge(order: str, *, cents: int) -> int:
    """Stand for what a step calls."""
    return len(order) + cents


async def load(address: str) -> bytes:
    """Stand for what a step awaits."""
    return address.encode()


def numbers_after(number: int | None) -> range:
    """Stand for what returns the rows after a cursor."""
    return range(number or 0, 9)


@job(version=2, upgrade={1: lambda old: {"order": old}}, aliases=["old.name"])
async def in_steps(order: str) -> None:
    """Stand for a task with steps."""
    assert_type(step("charge", charge, order, cents=3), int)
    assert_type(await step("load", load, order), bytes)
    for row in each("rows", ["a", "b"], cursor=len):
        assert_type(row, str)
    for number in each("numbers", numbers_after, cursor=str):
        assert_type(number, int)
