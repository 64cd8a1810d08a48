"""The limits that tasks declare: `rate_limit`, `burst` and `concurrency`, of all their jobs or of each `key`."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jobs.core.limits import Limit, Rate

if TYPE_CHECKING:
    from celery import Celery


#: What was declared under each name, by whichever modules.
_noted: dict[str, set[Limit]] = {}


def note(name: str, options: Mapping[str, Any]) -> None:
    """Note what a declaration says."""
    _noted.setdefault(name, set()).add(
        _declared(options.get("rate_limit"), options.get("burst", 1), options.get("concurrency"), options.get("key"))
    )


def why_ambiguous() -> str:
    """Return what is wrong where two tasks of one name declare different limits: Celery keeps whichever came first."""
    for name, found in sorted(_noted.items()):
        if len(found) > 1:
            figures = "; ".join(sorted(map(str, found)))
            return (
                f"Two tasks are named {name!r} and declare different limits ({figures}): only one of them would hold."
                " Give one of the tasks another name."
            )
    return ""


def declared(app: "Celery") -> Iterator[tuple[str, Limit]]:
    """Yield the name of each task whose calls are jobs, and what it declares."""
    for name, task in app.tasks.items():
        if hasattr(task, "check_arguments"):
            yield name, _declared(task.rate_limit, task.burst, task.concurrency, task.key)


def _declared(rate: object, burst: int, concurrency: int | None, key: object) -> Limit:
    return Limit(None if rate is None else str(Rate.read(rate)), burst, concurrency, key is not None)
