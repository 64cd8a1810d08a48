"""Fixtures in the places of Celery's: the application is ours, and so is the worker."""

import os
import sys
import threading
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import django
import pytest
import suite_app  # type: ignore[import-not-found]
from celery.contrib.testing.worker import TestWorkController
from celery.result import _set_task_join_will_block

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
def celery_app(celery_session_app: Any) -> Iterator[Any]:
    """The same; Celery's own tests get a new one each: what they set is undone, and what was made of it is not kept."""
    before = dict(celery_session_app.conf.changes)
    for made_of_settings in ("send_task_message", "_event_dispatcher"):
        vars(celery_session_app.amqp).pop(made_of_settings, None)
    yield celery_session_app
    celery_session_app.conf.changes.clear()
    celery_session_app.conf.changes.update(before)


@pytest.fixture
def app(celery_app: Any) -> Any:
    """The same."""
    return celery_app


@pytest.fixture(scope="session")
def celery_session_worker() -> Any:
    """A worker in this process, as Celery's own is: tests listen to its signals, and look at its state.

    Nobody stops it: one of ours ends its process with it, and the report is not written then.
    """
    worker = TestWorkController(
        app=suite_app.app,
        # As Celery's own: some tests count in an attribute of a task, of which each process has one.
        concurrency=1,
        pool="prefork",
        hostname="suite@test",
        queues="celery,default,maintenance",
        loglevel="INFO",
        logfile=str(Path(os.environ["SUITE_DIRECTORY"]) / "worker.log"),
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
    )
    threading.Thread(target=worker.start, daemon=True).start()
    worker.ensure_started()
    # The threads that started it are no task.
    _set_task_join_will_block(blocks=False)
    return worker


def pytest_unconfigure() -> None:
    """End at once, when all is reported: the worker's threads would see how Python takes itself apart."""
    sys.stdout.flush()
    os._exit(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time that the command gives it, once: those marked by Celery would take six times as long."""
    for item in items:
        item.own_markers[:] = [mark for mark in item.own_markers if mark.name not in {"flaky", "timeout"}]


@pytest.fixture(autouse=True)
def current(celery_session_app: Any) -> None:
    """Be the application that tests find."""
    celery_session_app.set_current()
    celery_session_app.set_default()
