"""What the jobs of a renamed task, and its keys, are called under its present name and under those before. Pure."""

from collections.abc import Mapping

from jobs.core.limits import Kind


def key_of(limit_key: str | None, task: str, present: str) -> str | None:
    """Return a key as it is with its task's present name."""
    return limit_key if limit_key is None or task == present else present + limit_key.removeprefix(task)


def former(kind: Kind, name: str, renamed: Mapping[str, str]) -> list[str]:
    """Return the names that a task, or a key of one, had before: of any other kind none.

    Args:
        kind: what the name is of.
        name: the present one.
        renamed: all renames.
    """
    if kind == Kind.TASK:
        return [old for old, present in renamed.items() if present == name]
    if kind == Kind.KEY:
        return [old + name.removeprefix(to) for old, to in renamed.items() if name.startswith(f"{to}:")]
    return []
