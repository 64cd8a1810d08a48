"""`pip wheel .` makes a package that holds all the site needs, and runs away from its sources."""

import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from django.conf import settings

BASE: Path = settings.BASE_DIR

#: What is installed: the apps, and what stands beside them.
SHIPPED = (
    "accounts",
    "jobs",
    "locale",
    "mail",
    "notify",
    "posts",
    "project",
    "search",
    "static",
    "storage",
    "templates",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """The wheel, built from a copy: setuptools leaves its work in the folder that it builds from."""
    copy, built = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for name in SHIPPED:
        shutil.copytree(BASE / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.in", "README.md", "LICENSE"):
        shutil.copy(BASE / name, copy)
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *offline, "--quiet", "--wheel-dir", built, "."], cwd=copy, check=True
    )
    [file] = built.glob("nightshift-*.whl")
    return zipfile.Path(file)


@pytest.fixture(scope="module")
def installed(wheel: zipfile.Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel is unpacked, as an installer does with one that has no scripts."""
    place = tmp_path_factory.mktemp("installed")
    wheel.root.extractall(place)
    return place


def files(folder: Path) -> set[str]:
    return {
        file.relative_to(folder).as_posix()
        for name in SHIPPED
        for file in (folder / name).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_every_file_of_the_apps_is_in_it(installed: Path) -> None:
    assert files(installed) == files(BASE)


def test_it_names_its_licence_and_what_it_needs(wheel: zipfile.Path) -> None:
    [info] = [one for one in wheel.iterdir() if one.name.endswith(".dist-info")]
    told = Parser().parsestr((info / "METADATA").read_text())
    assert told["License-Expression"] == "MIT"
    assert (info / "licenses" / "LICENSE").read_text() == (BASE / "LICENSE").read_text()
    wanted = [line for line in (BASE / "requirements.in").read_text().splitlines() if line and not line.startswith("#")]
    assert len(told.get_all("Requires-Dist", [])) == len(wanted)


def test_what_is_installed_migrates_renders_and_serves(installed: Path, tmp_path: Path) -> None:
    environment = {
        "DEBUG": "true",
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "PYTHONPATH": str(installed),
        "VAR_DIR": str(tmp_path / "var"),
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "BROKER_URL": "ledger://",
    }
    code = """
import django
django.setup()
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client
import project
call_command("migrate", verbosity=0)
print(project.__file__, Client(HTTP_HOST="localhost").get("/").status_code, finders.find("jobs/shell.css"))
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    package, status, css = run.stdout.split()
    assert Path(package).is_relative_to(installed)
    assert status == "200"
    assert Path(css).is_relative_to(installed)
