"""On Django 6.0 the project is sound, and Django's own `django.tasks` runs on the ledger."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import environment

BASE = Path(__file__).resolve().parents[2]

#: What runs on Django 6.0 too: the Tasks framework is another one there, and what is nearest to Django.
CORE = ("tests/jobs/test_django_tasks.py", "tests/jobs/test_enqueue.py", "tests/jobs/test_results.py")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def on_django_6(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables of a process whose Django is 6.0, put before the one that is installed."""
    place = tmp_path_factory.mktemp("django-6")
    # It asks for Python 3.12, and what we use of it runs on 3.11.
    older = ["--python-version=3.12", "--only-binary=:all:"] if sys.version_info < (3, 12) else []
    # What of it is loaded is compiled then.
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-compile", f"--target={place}", *older]
    subprocess.run([*command, "django>=6.0,<6.1"], check=True)
    variables = {**os.environ, **environment.variables(), "PYTHONPATH": str(place)}
    # Tests choose their settings, and the other commands have the project's.
    variables.pop("DJANGO_SETTINGS_MODULE", None)
    return variables


def said(variables: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=BASE, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout[-5000:]}{done.stderr[-5000:]}"
    return done.stdout


def test_the_project_is_sound_on_django_6_and_needs_no_migration_of_its_own(on_django_6: dict[str, str]) -> None:
    assert said(on_django_6, "manage.py", "version").startswith("6.0")
    said(on_django_6, "manage.py", "check")
    said(on_django_6, "manage.py", "makemigrations", "--check", "--dry-run")


def test_jobs_and_django_tasks_work_on_django_6(on_django_6: dict[str, str]) -> None:
    variables = {**on_django_6, "TEST_DATABASE": "sqlite"}
    said(variables, "-m", "pytest", "-q", "-p", "no:cacheprovider", *CORE)
