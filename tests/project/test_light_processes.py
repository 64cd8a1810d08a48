"""A process loads what it uses: no driver of a server it has not got, and no API where nobody calls it."""

import subprocess
import sys
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parents[2]

#: What a project on SQLite and `ledger://` has no use for, unless it answers requests or talks to a store.
HEAVY = ("psycopg", "redis", "ninja", "django.test", "boto3", "botocore")

LIST = f"import sys; print(*[name for name in {HEAVY} if name in sys.modules])"


def loaded_by(code: str, database: str = "unused", broker: str = "ledger://") -> set[str]:
    """Return those of HEAVY that a process has loaded when it has run `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LIST}"],
        cwd=BASE,
        env={
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "DEBUG": "true",
            "DATABASE_URL": f"sqlite:///{database}",
            "BROKER_URL": broker,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_engine_loads_no_driver_and_no_api() -> None:
    assert loaded_by("import jobs") == set()


@pytest.mark.parametrize("verb", ["stats", "list"])
def test_a_command_that_looks_loads_no_driver_and_no_api(sqlite_template: str, verb: str) -> None:
    command = (
        f"from django.core.management import execute_from_command_line as run; run(['manage.py', 'jobs', '{verb}'])"
    )
    assert loaded_by(command, sqlite_template) == set()


def test_a_worker_without_servers_loads_no_driver_and_no_api_before_it_forks() -> None:
    assert loaded_by("import project; project.celery_app.loader.import_default_modules()") == set()


def test_what_a_worker_has_loaded_before_it_forks_is_kept_out_of_garbage_collections() -> None:
    code = (
        "import gc, project\n"
        "project.celery_app.Worker(quiet=True).on_start()\n"
        "assert gc.get_freeze_count() > 50_000, gc.get_freeze_count()"
    )
    assert loaded_by(code) == set()


def test_who_connects_to_a_broker_loads_its_driver() -> None:
    connect = "import project; project.celery_app.connection_for_write().transport"
    assert loaded_by(connect) == set()
    assert loaded_by(connect, broker="redis://127.0.0.1:1") == {"redis"}


def test_who_asks_for_an_address_loads_the_api() -> None:
    assert "ninja" in loaded_by("import django; django.setup(); from django.urls import resolve; resolve('/api/jobs')")
