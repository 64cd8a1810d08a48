"""Fixtures in the places of Celery's: the application is ours, and so is the worker, a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import django
import pytest
import suite_app  # type: ignore[import-not-found]

django.setup()

_spec = spec_from_file_location("celerys_conftest", Path(os.environ["SUITE_CHECKOUT"]) / "t/integration/conftest.py")
assert _spec is not None
assert _spec.loader is not None
_theirs = module_from_spec(_spec)
_spec.loader.exec_module(_theirs)

TEST_BACKEND = "redis://"
TEST_BROKER = _theirs.TEST_BROKER
check_for_logs = _theirs.check_for_logs
get_redis_connection = _theirs.get_redis_connection
get_active_redis_channels = _theirs.get_active_redis_channels
is_retryable_exception = _theirs.is_retryable_exception
manager = _theirs.manager


def flaky(function: Any) -> Any:
    """Run a test once: nothing of ours is tried again until it passes."""
    return function


@pytest.fixture(scope="session")
def celery_session_app() -> Any:
    """Our application."""
    return suite_app.app


@pytest.fixture
def celery_app(celery_session_app: Any) -> Any:
    """The same."""
    return celery_session_app


@pytest.fixture
def app(celery_session_app: Any) -> Any:
    """The same."""
    return celery_session_app


@pytest.fixture(scope="session")
def celery_session_worker() -> Iterator[subprocess.Popen[bytes]]:
    """A worker."""
    log = Path(os.environ["SUITE_DIRECTORY"]) / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "suite_app", "worker", "-l", "INFO", "-c", "4", "-f", str(log)]
    options = ["--without-gossip", "--without-mingle", "-Q", "celery,default,maintenance", "-n", "suite@test"]
    worker = subprocess.Popen([*command, *options])
    yield worker
    worker.terminate()
    worker.wait(60)


@pytest.fixture(autouse=True)
def current(celery_session_app: Any) -> None:
    """Be the application that tests find."""
    celery_session_app.set_current()
    celery_session_app.set_default()
