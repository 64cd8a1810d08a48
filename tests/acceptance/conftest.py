"""What acceptance tests can ask for besides the fixtures that `tests/conftest.py` lists."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.acceptance.engine import Gate
from tests.acceptance.worker import Worker
from tests.conftest import REPORTS
from tests.databases import Database
from tests.servers import Valkey
from tests.tasks_app.effects import VARIABLE, Effects


@pytest.fixture
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Effects:
    """What the tasks of this test did."""
    effects = Effects(tmp_path / "effects")
    monkeypatch.setenv(VARIABLE, str(effects.path))
    return effects


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate, opened at the latest when the test ends."""
    gate = Gate(tmp_path / "gate")
    yield gate
    gate.open()


@pytest.fixture
def worker_environment(database: Database, valkey: Valkey, effects: Effects) -> dict[str, str]:
    """The variables that lead a process to this test's database, broker and effects."""
    return {
        "DATABASE_URL": database.url,
        "BROKER_URL": valkey.url,
        "REDIS_URL": valkey.url,
        VARIABLE: str(effects.path),
    }


@pytest.fixture
def start_worker(
    request: pytest.FixtureRequest, worker_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., Worker]]:
    """Start worker processes; all of them are killed, with their children, when the test ends."""
    workers: list[Worker] = []
    reports = request.node.stash.setdefault(REPORTS, [])
    numbers = count(1)

    def start(
        *,
        name: str = "",
        environment: dict[str, str] | None = None,
        ready: bool = True,
        **options: Any,
    ) -> Worker:
        name = name or f"worker{next(numbers)}"
        worker = Worker(
            name,
            environment={**worker_environment, **(environment or {})},
            log=tmp_path / f"{name}.log",
            **options,
        )
        workers.append(worker)
        reports.append(worker.report)
        worker.start()
        if ready:
            worker.wait_until_ready()
        return worker

    yield start
    for worker in workers:
        worker.clean_up()


@pytest.fixture
def manage(worker_environment: dict[str, str]) -> Callable[..., str]:
    """Run a management command as a process of its own and return what it printed."""

    def run(*arguments: str) -> str:
        result = forks.run("manage.py", *arguments, environment={**os.environ, **worker_environment})
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run
