"""Tasks for groups and chords: they return, fail once or for good, and change the canvas around them."""

import os
from typing import Any

from celery import group, shared_task

from jobs import JobTask, Permanent, job
from tests.tasks_app.effects import record

#: Those that fail at present, by their numbers; tests in one process change it.
failing: set[int] = set()


@job
def number(value: int) -> int:
    """Return a number; fail where it is among those that do."""
    if value in failing:
        raise Permanent(f"number {value} fails")
    return value


@job(ignore_result=False)
def add(left: int, right: int) -> int:
    """Return a sum."""
    return left + right


@job(ignore_result=False)
def total(numbers: list[int]) -> int:
    """Leave a sum as an effect, and return it."""
    record(f"total {sum(numbers)}")
    return sum(numbers)


@job
def listed(values: list[Any], name: str = "listed") -> None:
    """Leave a list as an effect, in its order."""
    record(f"{name} {values}")


@job
def tell(group_id: str, name: str) -> None:
    """Leave a name as an effect, for the callbacks of groups."""
    record(name)


@job
def told(task_id: str) -> None:
    """Be an error link that takes an id."""
    record(f"errback {task_id}")


@shared_task  # type: ignore[untyped-decorator]
def told_in_place(request: Any, error: BaseException, traceback: Any) -> None:
    """Be an error link that Celery calls in place."""
    record(f"in place {request.id} {error}")


@job
def told_with(task_id: str, name: str) -> None:
    """Be an error link that takes an id, and what its caller has said."""
    record(f"{name} {task_id}")


@job
def told_bytes(message: bytes, name: str) -> None:
    """Be an error link that takes what its caller has said, which JSON has not."""
    record(f"{name} {message!r}")


@job(bind=True)
def replaced(self: JobTask, /, value: int) -> Any:
    """Be replaced by a sum."""
    raise self.replace(add.s(value, 100))


@job(bind=True)
def replaced_by_many(self: JobTask, /, values: list[int]) -> Any:
    """Be replaced by a group."""
    raise self.replace(group(number.s(value) for value in values))


@job(bind=True)
def adding(self: JobTask, /, value: int) -> int:
    """Add another member to the chord."""
    self.add_to_chord(number.s(value + 1))
    return value


@job(bind=True)
def adding_a_chord(self: JobTask, /, values: list[int]) -> int:
    """Add another chord to the chord, whose body's result is a member's."""
    self.add_to_chord(group(number.s(value) for value in values) | total.s())
    return 0


@job(bind=True)
def adding_a_chain(self: JobTask, /, values: list[int]) -> int:
    """Add a chain to the chord."""
    first, second = values
    self.add_to_chord(number.s(first) | add.s(second))
    return 0


@job(time_limit=60, max_retries=3, retry_backoff=1, retry_backoff_max=1)
def slow_number(value: int, effect: str, gate: str) -> int:
    """Return a number when a gate opens: so a test may kill who runs it."""
    record(effect)
    from tests.tasks_app.tasks import pass_gate  # noqa: PLC0415

    pass_gate(gate)
    record(f"{effect} by {os.getpid()}")
    return value
