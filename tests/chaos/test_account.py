"""The account itself: it must find what it looks for."""

import random
from pathlib import Path

import pytest

from tests.chaos.account import DOOMED, Account, Row, account
from tests.chaos.journal import Effects, Journal, Run
from tests.chaos.limits import BURST, RATE, ROUNDED, exceeded, too_early
from tests.chaos.odd import KINDS, OddMessages
from tests.chaos.plan import STEPS

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
    assert _account({"a": "committed"}, {}, {"a": Row("queued", [], said="x")}).unfinished == ["a (queued: x)"]


def test_only_a_doomed_job_may_be_dead() -> None:
    rows = {"a": Row("dead", [], said="Trouble: a")}
    assert _account({"a": "committed"}, {}, rows).fallen == ["a (Trouble: a)"]
    assert _account({"a": "committed"}, {}, rows, kind=DOOMED).is_clean


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
    assert _account({"b": "committed"}, {}, rows, kind="succeeded:a").is_clean
    assert _account({"b": "committed"}, {}, {"a": DONE}, kind="succeeded:a").lost == ["b"]


def test_an_error_link_is_due_where_the_job_before_it_is_dead() -> None:
    rows = {"a": Row("dead", [])}
    assert _account({"b": "committed"}, {}, rows, kind="dead:a").lost == ["b"]
    assert _account({"b": "committed"}, {}, {"a": DONE}, kind="dead:a").is_clean
    result = _account({"b": "committed"}, {"b": [Run(1, 1, 2)]}, {**rows, "b": DONE}, kind="dead:a")
    assert (result.is_clean, result.followers) == (True, 1)


def test_a_follower_twice_or_not_due_is_found() -> None:
    ends, runs = {"b": "committed"}, {"b": [Run(1, 1, 2)]}
    twice = Row("succeeded", [], count=2)
    assert _account(ends, runs, {"a": DONE, "b": twice}, kind="succeeded:a").untimely == ["b"]
    assert _account(ends, runs, {"a": DONE, "b": DONE}, kind="dead:a").untimely == ["b"]


def test_a_chords_body_is_due_where_all_its_members_succeeded() -> None:
    dead = Row("dead", [])
    assert _account({"c": "committed"}, {}, {"a": DONE, "b": dead}, kind="succeeded:a,b").is_clean
    assert _account({"c": "committed"}, {}, {"a": DONE, "b": DONE}, kind="succeeded:a,b").lost == ["c"]
    runs = {"c": [Run(1, 1, 2)]}
    assert _account({"c": "committed"}, runs, {"a": DONE, "b": dead, "c": DONE}, kind="succeeded:a,b").untimely == ["c"]
    assert _account({"c": "committed"}, runs, {"a": DONE, "b": DONE, "c": DONE}, kind="succeeded:a,b").bodies == 1


def test_an_attempt_that_was_cut_off_explains_one_step_that_is_done_again() -> None:
    runs = {"a": [Run(1, 9, 10)], **{f"a.{number}": [Run(1, number, number + 1)] for number in range(STEPS)}}
    assert _account({"a": "committed"}, runs, {"a": DONE}, kind="journey").is_clean
    runs["a.1"].append(Run(2, 5, 6))
    assert _account({"a": "committed"}, runs, {"a": DONE}, kind="journey").unexplained == ["a.1"]
    cut = Row("succeeded", [("retrying", "WorkerLost")])
    assert _account({"a": "committed"}, runs, {"a": cut}, kind="journey").is_clean
    runs["a.2"].append(Run(2, 6, 7))
    assert _account({"a": "committed"}, runs, {"a": cut}, kind="journey").unexplained == ["a.1", "a.2"]
    del runs["a.0"]
    assert _account({"a": "committed"}, runs, {"a": cut}, kind="journey").lost == ["a.0"]


def test_one_more_at_once_than_may_is_found_and_another_key_is_not_counted() -> None:
    labels = {"a": "slotted.0", "b": "slotted.0", "c": "slotted.1", "d": "slotted.0"}
    runs = {"a": [Run(1, 1, 9)], "b": [Run(2, 2, 5)], "c": [Run(3, 2, 9)], "d": [Run(4, 5, 9)]}
    journal = Journal(labels, {})
    assert exceeded(journal, Effects(runs), {}) == []
    runs["d"] = [Run(4, 4, 9)]
    assert exceeded(journal, Effects(runs), {}) == ["slotted.0: 3 at once"]


def test_starts_beyond_the_rate_are_found() -> None:
    allowed = [0.0] * BURST + [(number + 1) / RATE for number in range(20)]
    assert too_early(allowed, ROUNDED) == 0
    assert too_early([*allowed, 2.0], ROUNDED) > 0
    journal, labels = Journal({"a": "paced.0", "b": "paced.1"}, {}), {"a": [0.0] * (BURST + 1), "b": [0.0]}
    assert exceeded(journal, Effects(), labels) == ["paced.0: 1 claims too early"]


def test_a_success_whose_row_is_not_in_the_database_is_lost() -> None:
    journal, effects = Journal({"a": "written"}, {"a": "committed"}), Effects({"a": [Run(1, 1, 2)]})
    assert account(journal, effects, {"a": DONE}).lost == ["a"]
    assert account(journal, effects, {"a": DONE}, {"a"}).is_clean


def test_an_odd_message_without_an_end_is_lost_unless_a_fault_took_it_along() -> None:
    odd = OddMessages(open={"a": "garbage", "b": "body"}, risked={"b": "wipe_broker"})
    assert (odd.lost(), odd.taken_along()) == (["a (garbage)"], 1)


def test_odd_messages_of_every_kind_bear_their_label() -> None:
    odd, rng = OddMessages(), random.Random(1)  # noqa: S311 (drawn, no secret)
    drawn = odd.draw(rng, 300)
    assert len({message.kind.split()[0] for message in drawn}) == len(KINDS)
    assert all(message.label.encode() in message.item for message in drawn)


def test_the_journals_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "effects"
    path.write_text("1 a begin 7\n2 a begin 8\n3 a end 7\n")
    assert Effects.read(path).runs["a"] == [Run(7, 1, 3), Run(8, 2)]
    journal = tmp_path / "journal"
    journal.write_text("1 a plan quick\n2 b plan succeeded:a\n3 a committed\n")
    read = Journal.read(journal)
    assert (read.ends, read.kinds["b"]) == ({"a": "committed", "b": "unknown"}, "succeeded:a")
