"""docs/tutorial.md: its files are written, its commands run and its answers compared, in their order."""

import os
import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from tests.acceptance.worker import Worker
from tests.commands import Commands
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(300)

BASE: Path = settings.BASE_DIR
BLOCK = re.compile(r"^( *)```(python|sh|text)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
MANAGE = ".venv/bin/python manage.py "
#: What only a shell understands.
SHELL = re.compile("[|<>&;]")


class Reader:
    """Somebody who reads the tutorial in a checkout, with the system running beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = folder / "db.sqlite3"
        self._variables = {
            **os.environ,
            "EXTRA_APPS": "shop",
            "DATABASE_URL": f"sqlite:///{self._database}",
            "BROKER_URL": "ledger://",
            "PYTHONPATH": str(folder),
        }
        self._commands = Commands(self._variables, BASE)
        self._worker: Worker | None = None
        self._said = ""
        for entry in (".venv", "manage.py"):
            (folder / entry).symlink_to(BASE / entry)
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").touch()

    def follow(self, kind: str, text: str) -> None:
        """Do what a block says."""
        text = text.replace("/tmp/rates.json", str(self.folder / "rates.json"))  # noqa: S108 (it is replaced)
        if kind == "python":
            self._write(text)
        elif kind == "sh":
            self._said = "".join(self._run(line) for line in text.splitlines() if not line.endswith("make up"))
        else:
            self._compare(text)

    def leave(self) -> None:
        """Stop what runs."""
        self._commands.stop()
        if self._worker is not None:
            self._worker.clean_up()

    def _write(self, text: str) -> None:
        file = text.partition("\n")[0].removeprefix("# ")
        (self.folder / file).write_text(text)
        if file.endswith("tasks.py"):
            # As `make up` does.
            self.leave()
            self._commands.run("migrate", "--verbosity", "0")
            self._worker = Worker(
                "tutorial", environment=self._variables, log=self.folder / "worker.log", pool="threads"
            )
            self._worker.start()
            self._worker.wait_until_ready()

    def _run(self, command: str) -> str:
        if self._database.exists() and " list " in command and "--state queued" not in command:
            wait_for(self._nothing_to_do, 30)
        if command.startswith(MANAGE) and not SHELL.search(command):
            return self._commands.run(*shlex.split(command.removeprefix(MANAGE)))
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self._variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def _nothing_to_do(self) -> bool:
        with closing(sqlite3.connect(self._database)) as database:
            # The letter of a dead job follows in a moment.
            waiting = (
                "SELECT count(*) FROM jobs_job WHERE state IN ('queued', 'running')"
                " OR (state = 'dead' AND id NOT IN (SELECT job_id FROM jobs_deadletter WHERE job_id IS NOT NULL))"
            )
            return bool(database.execute(waiting).fetchone() == (0,))

    def _compare(self, text: str) -> None:
        for line in text.splitlines():
            pattern = ".*".join(re.escape(part) for part in line.split("…"))
            assert re.search(pattern, self._said), f"{line!r} is not in:\n{self._said}"


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.leave()


def blocks(document: str) -> list[tuple[str, str]]:
    text = (BASE / document).read_text()
    return [(kind, re.sub(f"^{indent}", "", body, flags=re.MULTILINE)) for indent, kind, body in BLOCK.findall(text)]


def test_the_tutorial_does_what_it_says(reader: Reader) -> None:
    found = blocks("docs/tutorial.md")
    assert {kind for kind, _ in found} == {"python", "sh", "text"}
    follow: Callable[[str, str], None] = reader.follow
    for kind, text in found:
        follow(kind, text)
