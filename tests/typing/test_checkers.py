"""mypy and pyright let the good examples pass, and find the bad ones."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.tasks import options
from jobs.tasks.typed import CallOptions

HERE = Path(__file__).parent
BASE = HERE.parents[1]
EXAMPLES = ("good.py", "bad.py")

pytestmark = pytest.mark.timeout(180)


def marked(checker: str) -> set[tuple[str, int]]:
    """Return the lines that end in `# error`, or in that and the checker's name."""
    return {
        (name, number)
        for name in EXAMPLES
        for number, line in enumerate((HERE / name).read_text().splitlines(), 1)
        if line.endswith(("# error", f"# error for {checker}"))
    }


def said(*command: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", *command, *(str(HERE / name) for name in EXAMPLES)],
        cwd=BASE,
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def mypy() -> set[tuple[str, int]]:
    found = re.findall(
        r"^.*?(\w+\.py):(\d+): error:",
        said("mypy", "--config-file", str(HERE / "mypy.ini"), "--no-error-summary"),
        re.MULTILINE,
    )
    return {(name, int(line)) for name, line in found}


def pyright() -> set[tuple[str, int]]:
    answer = json.loads(said("pyright", "--outputjson", "--pythonpath", sys.executable))
    assert answer["summary"]["filesAnalyzed"] == len(EXAMPLES)
    return {
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in answer["generalDiagnostics"]
        if one["severity"] == "error"
    }


@pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda checker: checker.__name__)
def test_a_checker_finds_what_is_wrong_and_nothing_else(checker: Callable[[], set[tuple[str, int]]]) -> None:
    assert checker() == marked(checker.__name__)


def test_the_options_that_checkers_know_are_those_of_a_call() -> None:
    typed = set(CallOptions.__annotations__) | {"link", "link_error", "shadow", "producer"}
    assert typed - {"serializer"} == options._OF_JOBS | options._OF_SENDING
