"""The environment that `make up` leaves for other terminals: who adopts it, and who does not."""

import fcntl
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from project import shared_environment
from tests import forks
from tests.project.test_production import PRODUCTION
from tests.servers import free_port

LEFT = {
    "DEBUG": "true",
    "DATABASE_URL": "sqlite:////tmp/left.sqlite3",
    "REDIS_URL": "redis://left",
    "PROJECT_NAME": 'It\'s "quoted" $HOME #1\n and goes on',
}


@contextmanager
def running(var: Path) -> Iterator[None]:
    """Hold the data directory as `make up` does."""
    with (var / shared_environment.LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def var(tmp_path: Path) -> Path:
    shared_environment.leave(tmp_path, LEFT, port=free_port())
    return tmp_path


def settings(name: str, var: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Print a setting, in a process with these variables alone."""
    code = f"from django.conf import settings; print(settings.{name})"
    environment = {"DJANGO_SETTINGS_MODULE": "project.settings", "VAR_DIR": str(var), **variables}
    return forks.run("-c", code, environment=environment)


def test_who_has_set_nothing_gets_all_of_it_as_it_was(var: Path) -> None:
    with running(var):
        assert settings("PROJECT_NAME", var).stdout == LEFT["PROJECT_NAME"] + "\n"
        assert settings("DATABASES['default']['NAME']", var).stdout == "/tmp/left.sqlite3\n"  # noqa: S108


def test_what_is_set_by_hand_wins(var: Path) -> None:
    with running(var):
        assert settings("BROKER_URL", var, BROKER_URL="amqp://mine").stdout == "amqp://mine\n"
        assert settings("REDIS_URL", var, REDIS_URL="redis://mine").stdout == "redis://mine\n"
        assert settings("REDIS_URL", var, REDIS_URL=" ").stdout == "redis://left\n"


@pytest.mark.parametrize(
    "decided",
    [*({name: PRODUCTION[name]} for name in shared_environment.REQUIRED), {"DEBUG": "false"}, {"DYNO": "web.1"}],
)
def test_production_never_adopts_it(var: Path, decided: dict[str, str]) -> None:
    missing = [name for name in shared_environment.REQUIRED if name not in decided]
    with running(var):
        result = settings("DEBUG", var, **decided)
    assert result.returncode == 1
    assert f"{', '.join(missing)}: required in production (DEBUG is off)" in result.stderr
    with running(var):
        assert settings("REDIS_URL", var, **PRODUCTION).stdout == PRODUCTION["REDIS_URL"] + "\n"


def test_development_that_says_so_has_its_own_defaults(var: Path) -> None:
    with running(var):
        assert settings("PROJECT_NAME", var, DEBUG="true").stdout == "Nightshift\n"


def test_one_that_has_stopped_is_told_with_the_port_that_nobody_answers(var: Path) -> None:
    port = free_port()
    shared_environment.leave(var, LEFT, port=port)
    with running(var):
        pass
    result = settings("DEBUG", var)
    assert result.returncode == 1
    assert f"`make up` does not run any more on the data in {var}, and nobody answers at port {port}" in result.stderr
    assert settings("DEBUG", var, DEBUG="true").stdout == "True\n"


def test_where_none_ever_ran_production_says_what_it_requires(tmp_path: Path) -> None:
    assert "required in production" in settings("DEBUG", tmp_path).stderr


@pytest.mark.parametrize("text", ["NAME='no end", "no variable", "NAME=x PORT=http", ""])
def test_a_file_that_is_no_such_file_is_named(var: Path, text: str) -> None:
    (var / shared_environment.FILE).write_text(text)
    assert f"{var / shared_environment.FILE} cannot be read (" in settings("DEBUG", var).stderr


def test_it_is_for_its_owners_eyes_only_whoever_wrote_it_before(var: Path) -> None:
    path = var / shared_environment.FILE
    path.chmod(0o644)
    before = os.umask(0)
    try:
        shared_environment.leave(var, LEFT, port=1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_looking_takes_the_lock_from_nobody(var: Path) -> None:
    assert not shared_environment.is_running(var)
    with running(var):
        assert shared_environment.is_running(var)
    assert not shared_environment.is_running(var)
    assert not shared_environment.is_running(var / "nowhere")
