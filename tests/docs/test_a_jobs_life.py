"""The way of a job that succeeds can be read: ARCHITECTURE.md names its files, and they stay few and short."""

import re
from pathlib import Path

BASE = Path(__file__).resolve().parents[2]

#: The goal is 12 files and 1,600 lines. Whoever makes the way shorter lowers these.
MOST_FILES, MOST_LINES = 17, 3_350

#: No file of the way may be longer.
LONGEST_FILE = 300


def way() -> list[Path]:
    """Return the engine's files that a job passes, as they are drawn."""
    text = (BASE / "ARCHITECTURE.md").read_text()
    drawn = re.search(r"^## A job's life\n\n```\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert drawn is not None
    return [BASE / name for name in re.findall(r"jobs/[a-z_/]+\.py", drawn.group(1))]


def lines_of(file: Path) -> int:
    """Return how many lines a file has."""
    return len(file.read_text().splitlines())


def test_a_jobs_way_through_the_engine_is_short() -> None:
    files = way()
    assert len(set(files)) == len(files) <= MOST_FILES
    assert sum(map(lines_of, files)) <= MOST_LINES


def test_no_file_of_the_way_is_long() -> None:
    assert {file.name: lines for file in way() if (lines := lines_of(file)) > LONGEST_FILE} == {}


def test_the_executor_reads_as_its_five_steps() -> None:
    source = (BASE / "jobs/worker/executor.py").read_text()
    steps = re.findall(r"^def (_prepared|_is_checked|_run|_decide|_report)\(", source, re.MULTILINE)
    assert steps == ["_prepared", "_is_checked", "_run", "_decide", "_report"]
