"""Runs `manage.py jobs …` inside the test's process and transaction."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs.cli.verb import Exit


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: Exit
    out: str
    error: str = ""

    @property
    def answer(self) -> Any:
        """What it printed with `--json`."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run() -> Run:
    """Run a command as `run("list", "--json")`."""

    def run(*words: object) -> Ran:
        out = io.StringIO()
        try:
            call_command("jobs", *map(str, words), stdout=out)
        except CommandError as exc:
            return Ran(Exit(exc.returncode), out.getvalue(), str(exc))
        return Ran(Exit.DONE, out.getvalue())

    return run


class Keyboard(io.StringIO):
    """A person at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a person type what answers the next question."""

    def types(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", Keyboard(f"{text}\n"))

    return types
