"""The code of the version before runs on the schema of this one, beside this one's, and jobs go both ways.

The version before is a commit; `UPGRADING.md` says what a version promises to the next.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from django.conf import settings

from jobs.models import DeadLetter
from tests.acceptance.worker import Worker
from tests.commands import Commands
from tests.conftest import REPORTS
from tests.databases import default_database_at
from tests.environment import environment
from tests.servers import Valkey
from tests.tasks_app.effects import VARIABLE, Effects
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(300)

NEW: Path = settings.BASE_DIR

#: The version before; the next one puts its own here when it is made.
VERSION_BEFORE = "4d290f4e67cc6d1408a74c932edc35bbc6742a29"

TASKS = "tests.tasks_app.tasks"


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=NEW, capture_output=True, check=False)


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the version before."""
    archive = git("archive", VERSION_BEFORE)
    if archive.returncode:
        pytest.skip("The history of the repository is not here: it has the version before.")
    folder = tmp_path_factory.mktemp("old")
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive.stdout, check=True)
    return folder


class Site:
    """A database and a broker, with processes of both versions on them."""

    def __init__(self, variables: dict[str, str], folder: Path, stack: ExitStack) -> None:
        self.effects = Effects(folder / "effects")
        self._variables = {**variables, VARIABLE: str(self.effects.path)}
        self._folder = folder
        self._stack = stack
        self._numbers = count(1)
        self._commands: dict[Path, Commands] = {}
        self.reports: list[Callable[[], tuple[str, str]]] = []

    def manage(self, code: Path, *arguments: str) -> str:
        """Run a management command of one of the versions."""
        if code not in self._commands:
            self._commands[code] = Commands(self._variables, code)
            self._stack.callback(self._commands[code].stop)
        return self._commands[code].run(*arguments)

    def submit(self, code: Path, task: str, effect: str, *options: str) -> None:
        """Enqueue a job by the code of one of the versions."""
        self.manage(code, "jobs", "submit", f"{TASKS}.{task}", "--arg", f"effect={effect}", *options)

    def worker(self, code: Path) -> Worker:
        """Start a worker of one of the versions."""
        name = f"worker{next(self._numbers)}"
        worker = Worker(
            name,
            environment={**os.environ, **self._variables},
            log=self._folder / f"{name}.log",
            pool="threads",
            directory=code,
        )
        self._stack.callback(worker.clean_up)
        self.reports.append(worker.report)
        worker.start()
        worker.wait_until_ready()
        return worker

    def has_letters(self, number: int) -> bool:
        """Whether there are so many dead letters."""
        return DeadLetter.objects.count() == number

    def has(self, effect: str, times: int = 1) -> bool:
        """Whether a task has had its effect."""
        return self.effects.count(effect) == times


@pytest.fixture(params=["postgres and a broker", "sqlite and ledger://"])
def site(request: pytest.FixtureRequest, valkey: Valkey, tmp_path: Path) -> Iterator[Site]:
    """An empty database, and a broker."""
    if request.param.startswith("postgres"):
        postgres = environment.postgres.start()
        variables = {"DATABASE_URL": postgres.url(postgres.create_database()), "BROKER_URL": valkey.url}
    else:
        variables = {"DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}", "BROKER_URL": "ledger://"}
    with ExitStack() as stack:
        stack.enter_context(request.getfixturevalue("django_db_blocker").unblock())
        stack.enter_context(default_database_at(variables["DATABASE_URL"]))
        site = Site({**variables, "REDIS_URL": valkey.url}, tmp_path, stack)
        request.node.stash[REPORTS] = site.reports
        yield site


def test_a_site_is_upgraded_while_its_jobs_run(site: Site, old: Path) -> None:
    # The version before, at work.
    site.manage(old, "migrate", "--verbosity", "0")
    before = site.worker(old)
    site.submit(old, "note", "of old code")
    site.submit(old, "broken", "dead")
    site.submit(old, "note", "of another day", "--run-at", "1d")
    wait_for(lambda: site.has_letters(1) and site.has("of old code"), 40)
    # The schema of this version, under the version before.
    site.manage(NEW, "migrate", "--verbosity", "0")
    site.submit(old, "broken", "dead on the new schema")
    site.submit(NEW, "note", "of new code, run by old")
    wait_for(lambda: site.has("of new code, run by old") and site.has_letters(2), 40)
    # The old code may also end and begin on it.
    assert before.stop() == 0
    before = site.worker(old)
    # Processes of this version take the place of the others.
    site.worker(NEW)
    assert before.stop() == 0
    site.submit(old, "note", "of old code, run by new")
    site.submit(NEW, "note", "of new code")
    wait_for(lambda: site.has("of old code, run by new") and site.has("of new code"), 40)
    # What waited is there, and can be replayed.
    site.manage(NEW, "jobs", "check-deploy")
    site.manage(NEW, "jobs", "deadletters", "replay", "--all", "--yes")
    site.manage(NEW, "jobs", "retry", "--state", "scheduled", "--yes")
    wait_for(lambda: site.has("dead", 2) and site.has("dead on the new schema", 2) and site.has("of another day"), 40)
