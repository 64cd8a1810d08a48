"""Tasks whose code raises whatever can be raised, wherever it is called."""

import os
from asyncio import CancelledError
from typing import Any, NoReturn

from celery import shared_task
from celery.exceptions import Retry
from celery.worker.control import control_command
from pydantic import BaseModel, model_validator

from jobs import Batch, JobTask, Permanent, job
from jobs.tasks.running import RetryCall
from tests.tasks_app.effects import record


class Odd(Exception):
    """An error of nothing but plain words."""


class Ending(BaseException):
    """What is no error, and is raised all the same."""


class Unspeakable(Exception):
    """An error that cannot be put into words."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Speechless(Exception):
    """An error of which there is no memory to speak."""

    def __str__(self) -> str:
        raise MemoryError


class Stubborn(Exception):
    """An error that cannot be pickled."""

    def __reduce__(self) -> NoReturn:
        raise Ending("not to be pickled")


def explode_elsewhere(pid: int) -> Exception:
    """Return an error in the process that made it; raise in every other."""
    if os.getpid() != pid:
        raise Ending("not here")
    return Homesick()


class Homesick(Exception):
    """An error that can be pickled, and unpickled only where it was raised."""

    def __reduce__(self) -> Any:
        return explode_elsewhere, (os.getpid(),)


class Demanding(Exception):
    """An error whose constructor takes more than it hands on."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


class Astray(Permanent):
    """An error by which the engine steers, which cannot be pickled."""

    def __reduce__(self) -> NoReturn:
        raise RuntimeError("not to be pickled")


def insatiable() -> Retry:
    """Return a call for another try whose limit is none."""
    return RetryCall(Odd("again"), 0.1, "insatiable")  # type: ignore[arg-type]


#: What is raised, by the name that the ledger should know it by.
OUTBURSTS: dict[str, Any] = {
    "Odd": lambda: Odd("plain words"),
    "Odd of strange characters": lambda: Odd("a\x00b \ud800"),
    "Odd at length": lambda: Odd("x" * 2_000_000),
    "Unspeakable": Unspeakable,
    "Stubborn": Stubborn,
    "Homesick": Homesick,
    "Demanding": lambda: Demanding(1, 2),
    "Astray": lambda: Astray("it has lost its way"),
    "Speechless": Speechless,
    "Odd and insatiable": insatiable,
    "StopIteration": StopIteration,
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "Ending": Ending,
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": CancelledError,
}


def burst_out(place: str, here: str, how: str) -> None:
    """Raise what `how` names if this is the place."""
    if place == here:
        outburst: BaseException = OUTBURSTS[how]()
        raise outburst


class Wild(BaseModel):
    """An argument whose validator raises, once it is on its way."""

    place: str
    how: str

    @model_validator(mode="after")
    def shout(self) -> "Wild":
        """Raise in a worker, not at the call."""
        if os.environ.get("CALLING") is None:
            burst_out(self.place, "validator", self.how)
        return self


class WildResult:
    """A result that raises when somebody looks at it."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __repr__(self) -> str:
        outburst: BaseException = OUTBURSTS[self.how]()
        raise outburst


class Hostile(JobTask):
    """Raises in its handlers: of which, its jobs' arguments say."""

    abstract = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Called by Celery before the body."""
        burst_out(kwargs["place"], "before_start", kwargs["how"])

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Called by Celery after a success."""
        burst_out(kwargs["place"], "on_success", kwargs["how"])

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called by Celery where another attempt follows."""
        burst_out(kwargs["place"], "on_retry", kwargs["how"])

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called by Celery where a job gives up."""
        burst_out(kwargs["place"], "on_failure", kwargs["how"])

    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        """Called by Celery after both."""
        burst_out(kwargs["place"], "after_return", kwargs["how"])


@shared_task(base=Hostile, max_retries=0)  # type: ignore[untyped-decorator]
def outburst(place: str, how: str) -> Any:
    """Raise in some place."""
    record(f"{place} {how}")
    burst_out(place, "body", how)
    if place == "on_failure":
        raise Odd("for its handler")
    return WildResult(how) if place == "result" else None


@job(max_retries=0)
def outburst_of_result(place: str, how: str) -> Any:
    """Return what raises, from a task without handlers."""
    return WildResult(how) if place == "result" else None


@shared_task(base=Hostile, max_retries=1, retry_backoff=0.2, retry_jitter=False)  # type: ignore[untyped-decorator]
def outburst_again(place: str, how: str) -> None:
    """Raise in some place of an attempt that another one follows."""
    record(f"{place} {how}")
    burst_out(place, "body", how)
    if place == "on_retry":
        raise Odd("for its handler")


@shared_task(base=Hostile, max_retries=0, pydantic=True)  # type: ignore[untyped-decorator]
def outburst_of_argument(wild: Wild, place: str, how: str) -> None:
    """Take an argument that raises."""
    record(f"{place} {how}")


@shared_task(base=Hostile, max_retries=0, batch=5)  # type: ignore[untyped-decorator]
def outburst_of_batch(batch: Batch[dict]) -> None:  # type: ignore[type-arg]
    """Raise in some place of a batch."""
    for item in batch:
        record(f"{item.value['place']} {item.value['how']}")
        burst_out(item.value["place"], "body", item.value["how"])


@control_command()  # type: ignore[untyped-decorator]
def fail_a_step(state: Any) -> None:
    """Have the worker's event loop call what raises."""
    state.consumer.hub.call_soon(_fail)


def _fail() -> NoReturn:
    raise Odd("in the worker's loop")
