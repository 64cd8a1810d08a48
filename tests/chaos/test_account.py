"""The account itself: it must find what it looks for."""

from pathlib import Path

import pytest

from tests.chaos.account import Account, Row, account
from tests.chaos.journal import Effects, Journal, Run

DONE = Row("succeeded", [])


def _account(ends: dict[str, str], runs: dict[str, list[Run]], rows: dict[str, Row], kind: str = "quick") -> Account:
    return account(Journal(dict.fromkeys(ends, kind), ends), Effects(runs), rows)


def test_a_job_done_once_is_fine() -> None:
    assert _account({"a": "committed"}, {"a": [Run(1, 1, 2)]}, {"a": DONE}).is_clean


def test_a_committed_job_without_a_row_is_lost() -> None:
    assert _account({"a": "committed"}, {}, {}).lost == ["a"]


def test_a_success_without_an_effect_is_lost() -> None:
    assert _account({"a": "committed"}, {"a": [Run(1, 1)]}, {"a": DONE}).lost == ["a"]


def test_a_job_that_waits_for_ever_is_unfinished() -> None:
    assert _account({"a": "committed"}, {}, {"a": Row("queued", [])}).unfinished == ["a (queued)"]


@pytest.mark.parametrize("rows,runs", [({"a": DONE}, {}), ({}, {"a": [Run(1, 1, 2)]})])
def test_a_trace_of_a_rolled_back_job_is_found(rows: dict[str, Row], runs: dict[str, list[Run]]) -> None:
    assert _account({"a": "rolledback"}, runs, rows).undead == ["a"]


def test_an_overlap_is_found() -> None:
    runs = {"a": [Run(1, 1, 10), Run(2, 5)]}
    assert _account({"a": "committed"}, runs, {"a": DONE}).overlapping == ["a"]


def test_an_attempt_after_one_that_died_is_no_overlap() -> None:
    runs = {"a": [Run(1, 1), Run(2, 5, 8)]}
    assert _account({"a": "committed"}, runs, {"a": DONE}).is_clean


def test_a_repetition_needs_an_explanation() -> None:
    runs = {"a": [Run(1, 1, 2), Run(2, 5, 8)]}
    assert _account({"a": "committed"}, runs, {"a": DONE}).unexplained == ["a"]
    explained = Row("succeeded", [("retrying", "WorkerLost")])
    result = _account({"a": "committed"}, runs, {"a": explained})
    assert result.is_clean
    assert result.repeated == {"a": 2}


def test_a_link_after_a_dead_one_was_never_due() -> None:
    rows = {"a": Row("dead", [])}
    assert _account({"b": "committed"}, {}, rows, kind="chain:a").is_clean
    assert _account({"b": "committed"}, {}, {"a": DONE}, kind="chain:a").lost == ["b"]


def test_the_journals_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "effects"
    path.write_text("1 a begin 7\n2 a begin 8\n3 a end 7\n")
    assert Effects.read(path).runs["a"] == [Run(7, 1, 3), Run(8, 2)]
    journal = tmp_path / "journal"
    journal.write_text("1 a plan quick\n2 b plan chain:a\n3 a committed\n")
    read = Journal.read(journal)
    assert (read.ends, read.kinds["b"]) == ({"a": "committed", "b": "unknown"}, "chain:a")
