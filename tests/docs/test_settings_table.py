"""docs/settings.md names every variable that is read, with its default."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parents[2]
ROW = re.compile(
    r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>[^|]+) \| (?P<rule>[^|]+) \| (?P<text>[^|]+) \|$", re.MULTILINE
)

READ = """
import json
from pathlib import Path
from project import env, settings
from project.embedded.environment import Development
Development.read(Path.cwd())
print(json.dumps(env.read))
"""


@pytest.fixture(scope="module")
def read() -> dict[str, object]:
    """Every variable the project reads in development when none is set, with its default."""
    result = subprocess.run(
        [sys.executable, "-c", READ], cwd=BASE, env={"DEBUG": "true"}, capture_output=True, text=True, check=True
    )
    return dict(json.loads(result.stdout))


@pytest.fixture(scope="module")
def documented() -> dict[str, str]:
    """Every variable of the document, with its default there."""
    rows = list(ROW.finditer((BASE / "docs" / "settings.md").read_text()))
    names = [row["name"] for row in rows]
    assert len(names) == len(set(names)), "a variable is documented twice"
    return {row["name"]: row["default"] for row in rows}


def test_every_variable_that_is_read_is_documented_and_no_other(
    read: dict[str, object], documented: dict[str, str]
) -> None:
    # Read by the `demo` command alone, which has no need of settings.
    assert set(documented) == set(read) | {"DEMO_PASSWORD"}


def test_the_defaults_are_those_of_the_code(read: dict[str, object], documented: dict[str, str]) -> None:
    wrong = {
        name: (stated[1], shown(read[name]))
        for name, default in documented.items()
        # A default in words is derived from another setting, or a variable's name in code means its value.
        if (stated := re.match(r"`([^`]+)`", default))
        and name in read
        and stated[1] not in documented
        and stated[1] != shown(read[name])
    }
    assert wrong == {}


def test_what_has_nothing_as_its_default_is_empty(read: dict[str, object], documented: dict[str, str]) -> None:
    wrong = {name for name, default in documented.items() if default.startswith("nothing") and read[name]}
    assert wrong == set()


def shown(value: object) -> str:
    """Return a default as one would write it in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    return str(value)
