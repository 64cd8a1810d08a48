"""Calls that type checkers refuse, each in a line that ends in `# error`; no other line does.

What only one of them finds ends in its name: `# error for pyright`.
"""

from typing import assert_type

from jobs import Batch, JobTask, each, job, step


@job
def resize(picture: str, width: int = 320) -> bytes:
    """Stand for a plain task."""
    return picture.encode()[:width]


@job(queue="pictures")
def describe(picture: str, *, language: str) -> str:
    """Stand for a task with options."""
    return picture + language


@job(bind=True)
def crop(self: JobTask, picture: str, width: int) -> int:
    """Stand for a bound task."""
    return len(picture) + width


@job(batch=100)
def index(batch: Batch[str]) -> None:
    """Stand for a batch task."""


resize.delay()  # error
resize.delay(7)  # error
resize.delay("a.png", 640, "more")  # error
resize.delay("a.png", height=640)  # error
resize.delay("a.png", width="wide")  # error
resize("a.png", "wide")  # error
assert_type(resize("a.png"), str)  # error
describe.delay("a.png", "en")  # error
describe.delay("a.png")  # error
crop.delay("a.png")  # error
crop.delay(crop, "a.png", 3)  # error

resize.apply_async(("a.png",), countdwn=3)  # error
resize.apply_async(("a.png",), countdown="soon")  # error
resize.apply_async(("a.png",), priority="high")  # error
resize.apply_async(kwargs=["a.png"])  # error
resize.apply_async(args=7)  # error
index.apply_async(kwargs="a.png")  # error
resize.delay_many(["a.png"], priority="high")  # error
resize.delay_many([7])  # error

resize.si()  # error
resize.si(7)  # error
crop.s("a.png", "wide", 3)  # error
crop.s(3, 4)  # error
describe.s("a.png", "en", "de")  # error
crop.si("a.png")  # error

# Celery is untyped, and mypy believes that such a base has anything.
resize.apply_asynk(("a.png",))  # error for pyright


@job(queue=7)  # error
def somewhere() -> None:
    """Be declared wrongly."""


@job(retries=3)  # error
def elsewhere() -> None:
    """Be declared wrongly."""


def charge(order: str, *, cents: int) -> int:
    """Stand for what a step calls."""
    return len(order) + cents


step("charge", charge, 7, cents=3)  # error
step("charge", charge, "A-1")  # error
step(7, charge, "A-1", cents=3)  # error
each("rows", 7)  # error
each("rows", ["a"], cursor=7)  # error


@job(version="2")  # error
def again() -> None:
    """Be declared wrongly."""
