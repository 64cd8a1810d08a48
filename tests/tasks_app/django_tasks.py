"""Django Tasks as an app has them that knows nothing of our engine."""

from typing import Any

from tests.tasks_app.effects import record
from tests.tasks_app.tasks_framework import TaskContext, task


@task
def add(left: int, right: int = 0) -> int:
    """Return a sum."""
    return left + right


@task()
async def add_later(left: int, right: int) -> int:
    """Return a sum, as a coroutine."""
    return left + right


@task(priority=50, queue_name="tests.other")
def note(effect: str) -> None:
    """Leave one effect."""
    record(effect)


@task
def fail(message: str) -> None:
    """Raise an error."""
    raise ValueError(message)


@task(takes_context=True)
def fail_twice(context: TaskContext, effect: str) -> dict[str, Any]:
    """Fail in the first two attempts; return what the context says in the third."""
    record(effect)
    if context.attempt < 3:
        raise LookupError(f"attempt {context.attempt}")
    return {"id": context.task_result.id, "attempt": context.attempt}


@task
def give_back(kind: str) -> Any:
    """Return what is no JSON, or too much of it."""
    return {"lambda": give_back, "text": "x" * 3_000_000, "tuple": (1, b"two"), "surrogate": "\ud800"}[kind]
