"""The acceptance tests' own tools: a worker starts, works for this test alone, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection

from tests import forks
from tests.acceptance.engine import are_gone, on_postgres, on_sqlite, two_houses
from tests.acceptance.worker import SharedWorker, Worker
from tests.databases import Database
from tests.waiting import wait_for

User = get_user_model()


def test_each_test_has_a_migrated_database_of_its_own(database: Database) -> None:
    assert connection.vendor == {"postgres": "postgresql", "sqlite": "sqlite"}[database.vendor]
    assert User.objects.count() == 0
    User.objects.create_user("alice@example.com")


def test_a_process_sees_what_the_test_committed(database: Database, manage: Callable[..., str]) -> None:
    User.objects.create_user("alice@example.com")
    printed = manage("shell", "-c", "from accounts.models import User; print(User.objects.get())")
    assert "alice@example.com" in printed


@on_sqlite
def test_a_shared_worker_that_ends_fails_one_test_and_is_there_for_the_next(
    start_worker: Callable[..., Worker],
) -> None:
    worker = start_worker(pool="threads")
    shared = SharedWorker(worker)
    first = worker.pid
    with pytest.raises(pytest.fail.Exception, match=r"worker1 ended with -9\."), shared.outliving_a_test():
        worker.kill()
    with shared.outliving_a_test():
        assert worker.pid != first
    worker.kill()
    with pytest.raises(pytest.fail.Exception, match=r"worker1 ended with -9\."), shared.outliving_a_test():
        raise AssertionError("This test began though the worker had ended after the one before.")
    with shared.outliving_a_test():
        assert worker.exit_code is None


@two_houses
def test_a_worker_starts_and_stops_in_order(start_worker: Callable[..., Worker], pool: str) -> None:
    worker = start_worker(pool=pool, concurrency=2)
    assert len(worker.children()) == (2 if pool == "prefork" else 0)
    assert worker.stop() == 0


@on_postgres
def test_a_killed_worker_leaves_no_process(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker(pool="prefork", concurrency=2)
    processes = [worker.pid, *worker.children()]
    worker.kill()
    assert worker.exit_code == -signal.SIGKILL
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in processes))


def test_a_fork_is_the_program_it_was_asked_for_in_a_group_of_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import os; print(os.environ['WORD'], os.getpgid(0) == os.getpid())"
    fork = forks.python("timeit", "--number=1", code, log=log, environment={"WORD": "own"})
    assert fork.wait(60) == 0
    assert "own True" in log.read_text()
    assert forks.python("timeit", "--number=1", "1/0", log=log, environment={}).wait(60) == 1
    assert "ZeroDivisionError" in log.read_text()


def test_a_run_of_tests_that_is_killed_outright_leaves_no_fork(tmp_path: Path) -> None:
    start = f"forks.python('http.server', '0', log=Path({str(tmp_path / 'log')!r}), environment={{}})"
    code = f"from pathlib import Path; from tests import forks; print({start}.pid, flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=settings.BASE_DIR) as run:
        assert run.stdout is not None
        fork = int(run.stdout.readline())
        os.kill(fork, 0)
        run.kill()
    wait_for(lambda: are_gone([fork]))
