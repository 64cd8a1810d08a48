"""Every line of the Procfile, started as a Procfile runner does, against real servers."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings

from jobs import JobTask
from tests.databases import Database
from tests.deploy.test_compose import SERVICES
from tests.servers import Valkey
from tests.servers.ports import free_port
from tests.servers.processes import kill_group, spawn, tail
from tests.waiting import wait_for

#: Whose tasks a deployment runs.
APPS = {"accounts", "jobs", "mail", "notify", "posts", "search", "storage"}

LINES = dict(line.split(": ", 1) for line in (settings.BASE_DIR / "Procfile").read_text().splitlines())

READY_SECONDS = 90.0

pytestmark = [pytest.mark.timeout(150), pytest.mark.parametrize("database", ["postgres"], indirect=True)]


@pytest.fixture
def environment(database: Database, valkey: Valkey) -> dict[str, str]:
    """What a platform sets: a port of its choice, and the addresses of the servers."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PORT": str(free_port()),
        "DEBUG": "false",
        "PLAYGROUND": "false",
        "SECRET_KEY": "only-for-this-test-" * 3,
        "ALLOWED_HOSTS": "localhost",
        "FRONTEND_HOST": "http://localhost",
        "DATABASE_URL": database.url,
        "BROKER_URL": valkey.url,
        "REDIS_URL": valkey.url,
        "FLOWER_BASIC_AUTH": "somebody:something",
        "INBOX_DIR": "",
    }


def run(line: str, environment: dict[str, str], log: Path) -> "subprocess.Popen[bytes]":
    return spawn(["/bin/sh", "-c", line], log=log, environment=environment, directory=settings.BASE_DIR)


def answers(port: str, path: str, *statuses: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}{path}", timeout=5) as answer:
            return answer.status in statuses
    except urllib.error.HTTPError as exc:
        exc.close()
        return exc.code in statuses
    except OSError:
        return False


def starts(line: str, environment: dict[str, str], log: Path, ready: Callable[[], bool]) -> None:
    process = run(line, environment, log)
    try:
        wait_for(lambda: ready() or process.poll() is not None, READY_SECONDS)
        assert process.poll() is None, tail(log)
    finally:
        kill_group(process)


def test_release(environment: dict[str, str], tmp_path: Path) -> None:
    process = run(LINES["release"], environment, tmp_path / "log")
    assert process.wait(READY_SECONDS) == 0, tail(tmp_path / "log")


def test_web(environment: dict[str, str], tmp_path: Path) -> None:
    port = environment["PORT"]
    starts(LINES["web"], environment, tmp_path / "log", lambda: answers(port, "/readyz", 200))


def test_the_health_check_of_web_passes_whatever_the_site_is_called(
    environment: dict[str, str], tmp_path: Path
) -> None:
    hosts = SERVICES["web"]["environment"]["ALLOWED_HOSTS"].replace("${ALLOWED_HOSTS:-localhost}", "example.com")
    named = {**environment, "ALLOWED_HOSTS": hosts, "FRONTEND_HOST": "https://example.com"}
    _, *check = [word.replace("8000", environment["PORT"]) for word in SERVICES["web"]["healthcheck"]["test"]]

    def healthy() -> bool:
        return subprocess.run(check, check=False, env=named, stderr=subprocess.DEVNULL).returncode == 0

    starts(LINES["web"], named, tmp_path / "log", healthy)


@pytest.mark.parametrize("name", [name for name in LINES if name.startswith("worker_")])
def test_worker(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    log = tmp_path / "log"
    starts(LINES[name], environment, log, lambda: " ready." in log.read_text())
    assert f"{name.removeprefix('worker_')}@" in log.read_text()


def test_beat(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    starts(LINES["beat"], environment, log, lambda: "beat: Starting" in log.read_text())


def test_flower(environment: dict[str, str], tmp_path: Path) -> None:
    port = environment["PORT"]
    starts(LINES["flower"], environment, tmp_path / "log", lambda: answers(port, "/", 200, 401))


def test_flower_asks_for_a_login(environment: dict[str, str], tmp_path: Path) -> None:
    process = run(LINES["flower"], {**environment, "FLOWER_BASIC_AUTH": ""}, tmp_path / "log")
    assert process.wait(30) != 0
    assert "must be set to user:password" in tail(tmp_path / "log")


def test_every_queue_of_a_task_has_its_workers(database: Database) -> None:
    current_app.loader.import_default_modules()
    ours = [task for task in current_app.tasks.values() if task.__module__.partition(".")[0] in APPS]
    queues = {task.queue for task in ours if isinstance(task, JobTask)}
    assert {f"worker_{queue}" for queue in queues if queue} <= set(LINES)
