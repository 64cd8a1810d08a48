"""One process of the system that `make up` runs: how it is started, and how it shows that it is ready."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


class PartFailed(Exception):
    """A part did not come up; the message names it and ends with what it said last."""


@dataclass(frozen=True)
class Part:
    """One process of the system."""

    name: str
    command: Sequence[str]
    #: Its variables; those of a part of ours come on top of our own.
    environment: dict[str, str] = field(default_factory=dict)
    #: Whether it is a program of others, which gets none of our settings.
    foreign: bool = False
    #: Whether it does its work; asked until it holds.
    ready: Callable[[], bool] = lambda: True
    #: What it prints when it does its work, where there is no other way to tell.
    ready_words: str = ""
    #: How long it may take until then, once it was started anew, before it is said that it does not.
    ready_seconds: float = 30.0
    #: How long it may take to stop before it is killed.
    stop_seconds: float = 10.0
    #: Whether its output goes to its log only.
    quiet: bool = False
    #: Whether it is started anew when code of ours has changed.
    reloads: bool = False
