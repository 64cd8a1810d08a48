"""`make up`, as a newcomer meets it: the whole system, on ports of its own."""

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import pytest_django
from django.conf import settings

from accounts.models import User
from project.embedded.environment import DEMO_EMAIL
from project.embedded.ports import is_taken
from tests.conftest import REPORTS
from tests.databases import default_database_at
from tests.servers import free_port
from tests.servers.ports import free_ports
from tests.servers.processes import kill_group, spawn, tail
from tests.waiting import wait_for

READY_SECONDS = 60.0
STOP_SECONDS = 60.0

pytestmark = pytest.mark.timeout(240)

#: Says when it runs, and waits until it may end.
SLOW_TASK = """

@job(queue="email", time_limit=90)
def slow() -> None:
    import pathlib, time
    pathlib.Path("slow").touch()
    while not pathlib.Path("go on").exists():
        time.sleep(0.05)
"""

MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("posts", "{after}")]
    operations = [migrations.RunSQL("{statement}")]
"""


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; one that only waits for init to take note of its end does not."""
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def listening(processes: list[psutil.Process]) -> set[str]:
    """Return the addresses at which any of them can be reached."""
    connections = [one for process in processes for one in process.net_connections("inet")]
    return {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}


def open_to_others(directory: Path) -> list[Path]:
    """Return what somebody else than its owner may read; what a closed folder holds is closed with it."""
    found = [path for path in directory.iterdir() if path.stat().st_mode & 0o077]
    return [directory, *found] if directory.stat().st_mode & 0o077 else found


class Up:
    """One `make up`."""

    def __init__(self, var: Path, *, code: Path = settings.BASE_DIR) -> None:
        self.code = code
        self.port, self.flower_port = free_port(), free_port()
        self.log = var.parent / "up.log"
        self.variables = {
            "VAR_DIR": str(var),
            "PORT": str(self.port),
            "FLOWER_PORT": str(self.flower_port),
            "VALKEY_PORT": str(free_port()),
            "MAILCATCHER_PORT": str(free_port()),
            "STORAGE_PORT": str(free_ports(8)),
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it in the environment of a newcomer, who has set nothing."""
        self.log.unlink(missing_ok=True)
        newcomer = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **self.variables}
        self._process = spawn(
            [
                *("env", "-i", *(f"{name}={value}" for name, value in newcomer.items())),
                *(sys.executable, "-m", "project.embedded"),
            ],
            log=self.log,
            directory=self.code,
        )

    def wait_until_ready(self) -> None:
        wait_for(lambda: self.process.poll() is not None or "Ready after" in self.said(), READY_SECONDS, what="make up")
        assert self.process.poll() is None, self.said()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def workers(self) -> set[int]:
        """Return the workers that run, by the ids of their processes."""
        children = living(psutil.Process(self.process.pid).children())
        return {child.pid for child in children if "worker@%h" in child.cmdline()}

    def get(self, path: str, *, port: int = 0, login: str = "") -> tuple[int, str]:
        """Return status and text of a page."""
        request = urllib.request.Request(f"http://localhost:{port or self.port}{path}")
        if login:
            request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return response.status, response.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()

    def second_terminal(self) -> dict[str, str]:
        """Return the environment of another terminal, in which nobody has set anything."""
        bin_first = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # The data of a checkout are in its `var`; here they are elsewhere, so that tests leave a developer's alone.
        return {"PATH": bin_first, "HOME": os.environ.get("HOME", "/"), "VAR_DIR": self.variables["VAR_DIR"]}

    def beside(self, *command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command in another terminal, to its end."""
        return subprocess.run(
            command,
            cwd=self.code,
            env=self.second_terminal(),
            input=given,
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )

    def stop(self, number: signal.Signals) -> int:
        """Ask it to stop and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's code, for a test to change; compiled as far as it is where it comes from."""
    left_out = shutil.ignore_patterns(".*", "var", "tests", "bench", "docs", "staticfiles")
    return Path(shutil.copytree(settings.BASE_DIR, tmp_path / "code", ignore=left_out))


@pytest.fixture
def up(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Up]:
    up = Up(tmp_path / "var")
    request.node.stash.setdefault(REPORTS, []).append(lambda: ("make up", tail(up.log, 200)))
    yield up
    if up._process is not None:
        for process in up.processes() if up.process.poll() is None else []:
            process.kill()
        kill_group(up.process)


@pytest.fixture
def used_before(up: Up, sqlite_template: str, django_db_blocker: pytest_django.DjangoDbBlocker) -> None:
    """Let its data be there, without content: to migrate and to make the pictures of posts takes most of a start."""
    var = Path(up.variables["VAR_DIR"])
    var.mkdir()
    database = Path(shutil.copyfile(sqlite_template, var / "nightshift.sqlite3"))
    with django_db_blocker.unblock(), default_database_at(f"sqlite:///{database}"):
        User.objects.create_superuser(DEMO_EMAIL, "nightshift")


def test_everything_runs_stops_and_goes_on_where_it_was(up: Up) -> None:
    up.start()
    up.wait_until_ready()

    assert up.get("/readyz")[0] == 200
    assert listening(up.processes()) == {"127.0.0.1"}
    assert open_to_others(Path(up.variables["VAR_DIR"])) == []
    assert "admin@example.com / nightshift" in up.said()
    wait_for(lambda: "Welcome to Nightshift" in up.get("/inbox/")[1], what="the first mail in the inbox")
    wait_for(lambda: up.get("/posts/")[1].count("<img") == 12, 60, what="the pictures of the posts")
    assert up.get("/", port=up.flower_port)[0] == 401
    assert up.get("/", port=up.flower_port, login="admin:nightshift")[0] == 200

    [worker] = [child for child in psutil.Process(up.process.pid).children() if "worker@%h" in child.cmdline()]
    worker.kill()
    wait_for(lambda: "worker was killed by SIGKILL unexpectedly; it starts again in 1 s" in up.said())
    wait_for(lambda: up.said().count("ready.") >= 2, 30, what="the worker's return")

    running = up.processes()
    assert up.stop(signal.SIGINT) == 0
    assert "Stopped." in up.said()
    assert living(running) == []

    up.start()
    up.wait_until_ready()
    assert "The demo content is there." in up.said()
    assert "Welcome to Nightshift" in up.get("/inbox/")[1]
    running = up.processes()
    assert up.stop(signal.SIGTERM) == 0
    assert living(running) == []


@pytest.fixture
def running_beside(up: Up, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Start a command in another terminal, which runs until the test ends, and return its log."""
    started: list[subprocess.Popen[bytes]] = []

    def run(*command: str) -> Path:
        log = tmp_path / f"{len(started)}.log"
        variables = [f"{name}={value}" for name, value in up.second_terminal().items()]
        started.append(spawn(["env", "-i", *variables, *command], log=log, directory=settings.BASE_DIR))
        return log

    yield run
    for process in started:
        kill_group(process)


@pytest.mark.usefixtures("used_before")
def test_a_second_terminal_reaches_what_runs(up: Up, running_beside: Callable[..., Path]) -> None:
    up.start()
    up.wait_until_ready()
    send = "from mail.tasks import send; send.delay(kind='custom', to='me@example.com', subject='From aside', body='b')"
    shell = up.beside("make", "shell", given=send)
    assert shell.returncode == 0, shell.stderr
    wait_for(lambda: "From aside" in up.get("/inbox/")[1], what="the mail of another terminal")

    listed = up.beside("make", "manage", "ARGS=jobs list --state succeeded")
    assert "From aside" in listed.stdout, listed.stderr
    assert "pong" in up.beside("celery", "-A", "project", "inspect", "ping").stdout

    worker = running_beside("celery", "-A", "project", "worker", "--hostname", "second@%h")
    wait_for(lambda: "second@" in worker.read_text() and " ready." in worker.read_text(), 30, what="a second worker")
    flower = running_beside("celery", "-A", "project", "flower")
    found = wait_for(lambda: re.search(r"http://127\.0\.0\.1:(\d+)", flower.read_text()), 30, what="a second Flower")
    assert found is not None
    wait_for(lambda: is_taken(int(found[1])), what="its port")
    port, login = int(found[1]), "admin:nightshift"
    assert up.get("/workers", port=port)[0] == 401
    wait_for(lambda: "second@" in up.get("/workers", port=port, login=login)[1], 30, what="the worker in Flower")

    up.stop(signal.SIGINT)
    for command in ("manage.py jobs list", "manage.py shell", "-m celery -A project inspect ping"):
        stopped = up.beside(sys.executable, *command.split())
        assert stopped.returncode == 1
        assert f"nobody answers at port {up.port}" in stopped.stderr
        assert stopped.stderr.count("\n") == 1


def apply_a_new_migration(up: Up) -> None:
    """Bring a migration, as another branch does, which its code cannot do without; at first it is broken."""
    folder, before = up.code / "posts" / "migrations", up.workers()
    migration, after = folder / "9000_noted.py", max(path.stem for path in folder.glob("0*.py"))
    migration.write_text(MIGRATION.format(after=after, statement="CREATE nonsense"))
    wait_for(lambda: 'near "nonsense": syntax error' in up.said(), 40, what="the fault to be noticed")
    assert "near &quot;nonsense&quot;: syntax error" in up.get("/posts/")[1]
    assert up.workers() == before
    migration.write_text(MIGRATION.format(after=after, statement="CREATE TABLE posts_noted (note text)"))
    wait_for(lambda: up.said().count("Restarting web, worker, beat") == 4, 40)
    assert "[X] 9000_noted" in up.beside(sys.executable, "manage.py", "showmigrations", "posts").stdout


@pytest.mark.usefixtures("used_before")
def test_changed_code_is_run_once_it_can_run_and_no_job_suffers(up: Up, copy: Path) -> None:
    up.code = copy
    up.variables["JOBS_SHUTDOWN_SECONDS"] = "35"
    up.start()
    up.wait_until_ready()
    tasks, front = copy / "mail" / "tasks.py", copy / "templates" / "posts" / "list.html"
    task_text, front_text = tasks.read_text(), front.read_text()

    before = up.workers()
    tasks.write_text(task_text + "\ndef broken(:\n")
    wait_for(lambda: "broken-code.txt" in os.listdir(up.variables["VAR_DIR"]), 30, what="the error to be noticed")
    wait_for(lambda: "mail/tasks.py" in up.said() and "SyntaxError: invalid syntax" in up.said())
    _, page = up.get("/posts/")
    assert "The changed code cannot run" in page
    assert "SyntaxError: invalid syntax" in page

    front.write_text(front_text.replace("<h1>Posts</h1>", "<h1>{% no_such_tag %}</h1>"))
    tasks.write_text(task_text + SLOW_TASK)
    wait_for(lambda: "posts/list.html: TemplateSyntaxError: Invalid block tag" in up.said(), 30)
    assert "<h1>Posts</h1>" in up.get("/posts/")[1]
    assert up.workers() == before

    front.write_text(front_text.replace("<h1>Posts</h1>", "<h1>Changed</h1>"))
    wait_for(lambda: "worker runs the changed code." in up.said(), 40)
    wait_for(lambda: up.get("/readyz")[0] == 200)
    _, page = up.get("/posts/")
    assert "<h1>Changed</h1>" in page
    assert "The changed code cannot run" not in page
    assert not up.workers() & before

    # It is running when its code changes, and ends in the worker that began it.
    submitted = up.beside(sys.executable, "manage.py", "jobs", "submit", "mail.tasks.slow")
    assert submitted.returncode == 0, submitted.stderr
    wait_for((copy / "slow").exists, 20, what="the job to begin")
    tasks.write_text(task_text)
    wait_for(lambda: all(up.said().count(f"{part} runs the changed code.") == 2 for part in ("web", "beat")), 40)

    # Its worker waits for it, and does not load what was broken meanwhile.
    tasks.write_text(task_text + "\ndef broken(:\n")
    wait_for(lambda: "what ran before goes on, and worker will start once it can.\n" in up.said(), 30)
    (copy / "go on").touch()
    wait_for(lambda: not up.workers(), 30, passing_over=(psutil.NoSuchProcess,), what="the end of the worker")
    assert "SyntaxError: invalid syntax" in up.get("/posts/")[1]
    tasks.write_text(task_text)
    wait_for(lambda: up.said().count("worker runs the changed code.") == 2, 40)
    assert "unexpectedly" not in up.said()
    listed = up.beside(sys.executable, "manage.py", "jobs", "list", "--task", "mail.tasks.slow")
    assert re.search(r"succeeded +mail\.tasks\.slow +email +1/6", listed.stdout), listed

    apply_a_new_migration(up)
    assert up.stop(signal.SIGINT) == 0


@pytest.mark.usefixtures("used_before")
def test_a_queue_with_a_broker_of_its_own_has_a_worker_of_its_own_and_a_kill_takes_all_along(up: Up) -> None:
    up.variables["JOBS_BROKERS"] = f"email=redis://127.0.0.1:{up.variables['VALKEY_PORT']}/3"
    up.start()
    up.wait_until_ready()
    jobs = (
        "from mail.tasks import send; from search.tasks import reindex; reindex.delay('posts'); "
        "send.delay(kind='custom', to='me@example.com', subject='It has moved', body='b')"
    )
    enqueued = up.beside(sys.executable, "manage.py", "shell", "-c", jobs)
    assert enqueued.returncode == 0, enqueued.stderr
    wait_for(lambda: "It has moved" in up.get("/inbox/")[1], what="a mail, of the queue that has moved")
    listed = up.beside(sys.executable, "manage.py", "jobs", "workers").stdout
    [moved] = [line for line in listed.splitlines() if line.startswith("worker-email@")]
    [rest] = [line for line in listed.splitlines() if line.startswith("worker@")]
    assert ("email" in moved.split(), "default" in moved) == (True, False), listed
    assert ("email" in rest, "default" in rest) == (False, True), listed
    ended = ("manage.py", "jobs", "list", "--state", "succeeded")
    wait_for(lambda: "search.reindex" in up.beside(sys.executable, *ended).stdout, what="a job, of those that have not")

    running = up.processes()
    up.process.kill()
    wait_for(lambda: not living(running), STOP_SECONDS, what="the end of all it had started")


def test_a_busy_port_is_one_clear_line(up: Up) -> None:
    with socket.create_server(("127.0.0.1", up.port)):
        up.start()
        assert up.process.wait(READY_SECONDS) == 1
    assert up.said() == (
        f"Port {up.port} is busy; the site needs it. Stop what listens there, or choose another port with PORT.\n"
    )


def test_a_bad_setting_is_one_clear_line(up: Up) -> None:
    up.variables["CRON_TIMEZONE"] = "Berlin"
    up.start()
    assert up.process.wait(READY_SECONDS) == 1
    assert up.said() == (
        "CRON_TIMEZONE='Berlin' is not valid: it must be a time zone name such as UTC or Europe/Berlin.\n"
    )


def test_two_cannot_share_their_data(up: Up, tmp_path: Path) -> None:
    up.start()
    wait_for(lambda: "Starting" in up.said(), READY_SECONDS)
    second = Up(tmp_path / "var")
    second.log = tmp_path / "second.log"
    second.start()
    assert second.process.wait(READY_SECONDS) == 1
    assert second.said().startswith(f"Another `make up` runs on the data in {tmp_path / 'var'}: stop it, or give")
    assert up.stop(signal.SIGTERM) == 0
