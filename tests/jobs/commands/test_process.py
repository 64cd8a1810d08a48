"""The command line itself: help, exit codes, what it says of mistakes."""

import os
import subprocess

import pytest

from jobs.cli.verbs import VERBS
from tests import forks
from tests.jobs.commands.conftest import Run


def manage(*words: str) -> subprocess.CompletedProcess[str]:
    return forks.run("manage.py", "jobs", *words, environment={**os.environ, "DATABASE_URL": "sqlite://:memory:"})


def test_help_names_every_verb_and_exit_code() -> None:
    ran = manage("--help")
    assert ran.returncode == 0
    assert all(verb.names[0] in ran.stdout for verb in VERBS)
    assert "exit codes:" in ran.stdout


@pytest.mark.parametrize(
    "words, part",
    [
        (["nonsense"], "invalid choice"),
        (["list", "--since", "yesterday"], "'yesterday' is not valid: it must be an age"),
        (["list", "--arg", "42"], "it must be name=value"),
        (["show", "42"], "an id is a UUID"),
        (["list", "--limit", "0"], "from 1 to 10000"),
    ],
)
def test_a_wrong_command_line_names_the_rule(run: Run, words: list[str], part: str) -> None:
    assert part in run(*words).error


def test_a_wrong_command_line_ends_with_2() -> None:
    assert manage("nonsense").returncode == 2


def test_what_fails_ends_with_1_and_no_traceback() -> None:
    ran = manage("pause", "emial")
    assert ran.returncode == 1
    assert "The database" in ran.stderr
    assert "Traceback" not in ran.stderr
