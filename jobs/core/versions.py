"""Of which version a job's arguments are: that of its task where it was enqueued; where nothing says it, 1."""

from collections.abc import Mapping
from typing import Any

#: The entry of a job's options that says its version, and the header of its message.
OPTION = "version"
VERSION_HEADER = "x-task-version"

#: The largest version: more than anybody will write.
MOST = 10_000


def is_version(value: object) -> bool:
    """Return whether this is a version that a task can have."""
    return type(value) is int and 1 <= value <= MOST


def version_of(options: Mapping[str, Any] | None) -> int:
    """Return the version of a job, by its options."""
    return _version((options or {}).get(OPTION))


def version_in(headers: Mapping[str, Any] | None) -> int:
    """Return the version of a job, by the headers of its message."""
    return _version((headers or {}).get(VERSION_HEADER))


def _version(said: object) -> int:
    return said if type(said) is int and is_version(said) else 1
