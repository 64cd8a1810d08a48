"""`python -m examples.demo`, with a worker, on SQLite and `ledger://`: nothing else is needed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.acceptance.worker import Worker
from tests.commands import Commands


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """Commands of a site with the examples, on a database of the module's own that has their tables."""
    folder = tmp_path_factory.mktemp("examples")
    commands = Commands(
        {
            "EXTRA_APPS": "examples",
            "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
            "BROKER_URL": "ledger://",
            "VAR_DIR": str(folder),
        },
        settings.BASE_DIR,
    )
    commands.run("migrate", "--verbosity", "0")
    yield commands
    commands.stop()


@pytest.fixture(scope="module")
def told(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the demo says."""
    log = tmp_path_factory.mktemp("worker") / "log"
    worker = Worker("examples", environment=commands.environment, log=log, pool="threads")
    try:
        worker.start()
        worker.wait_until_ready()
        yield demo(commands.environment)
    finally:
        worker.clean_up()


def demo(environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "payment: succeeded after 2 attempts; charges: [1250]; kept: ch_",
        "payment: dead after 1 attempt: Permanent: The provider refuses order 2: 402",
        "breaker: some were held back without an attempt: True; then all were paid: True",
        "chord: 5 pages, 15 words",
        "chord: report: False; told: True",
        "prices: {'succeeded': 200, 'dead': 1}; together 39900 cents; Permanent: There is no product 'nowhere'.",
        "pipeline: 1600x1200 on its side became 300x400; exif: 0",
        "webhooks: succeeded after 2 attempts; signatures right: [True, True]",
        "webhooks: dead after 1 attempt; still told: False",
    ],
    ids=lambda line: line.partition(":")[0] + " " + line.split()[1],
)
def test_an_example_does_what_it_says(line: str, told: str) -> None:
    assert line in told


def test_the_migrations_of_the_examples_are_made(commands: Commands) -> None:
    assert "No changes" in commands.run("makemigrations", "--check", "--dry-run", "examples")


def test_every_example_is_told_of() -> None:
    folder = Path(settings.BASE_DIR) / "examples"
    told = (folder / "README.md").read_text()
    kept = {"__init__", "apps", "models", "tasks", "demo", "http"}
    assert [file.name for file in folder.glob("*.py") if file.stem not in kept and f"({file.name})" not in told] == []
