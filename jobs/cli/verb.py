"""What a verb of `manage.py jobs` is made of."""

import getpass
import os
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from jobs.cli.output import Output

Given = Mapping[str, Any]


class Exit(IntEnum):
    """How a command ends, for scripts."""

    DONE = 0
    #: It could not be done, or what was asked for is not there; the message says why.
    FAILED = 1
    #: The command line is not valid.
    USAGE = 2
    #: A bulk change was not confirmed.
    NOT_CONFIRMED = 3


class Failed(Exception):
    """Raised when a verb cannot do what it was told; the message is for the person who told it."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing to say after `manage.py jobs`.

    Attributes:
        names: the verb, after the noun it belongs to, if any: `("deadletters", "list")`.
        help: what it does, on one line.
        run: does it; what it was given is by argument name.
        add_arguments: declares what it takes.
        more: what `--help` says at its end.
    """

    names: tuple[str, ...]
    help: str
    run: Callable[[Given, Output], Exit]
    add_arguments: Callable[[ArgumentParser], None]
    more: str = ""


def nothing(parser: ArgumentParser) -> None:
    """Declare no arguments."""


def actor() -> str:
    """Return who is at the keyboard, for the record of operator actions."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # A container's user may have no name.
        name = f"uid {os.getuid()}"
    return f"{name} (command line)"
