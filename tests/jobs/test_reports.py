"""What the pool's processes report is with their parent, whole and once, whatever becomes of the processes."""

import os
import select
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from jobs.core import outcome as outcomes
from jobs.ledger.attempts import Failure
from jobs.worker.reports import MOST, SUCCEEDED, Report, Reports
from tests.jobs import forked
from tests.waiting import wait_for


class Parent:
    """A worker's parent process: its socket, and what it has taken from there."""

    def __init__(self) -> None:
        self.reports = Reports()
        self.taken: list[Report] = []
        self.calls = 0
        self.reports.serve(self._take)

    def _take(self, found: Sequence[Report]) -> None:
        self.calls += 1
        self.taken.extend(found)

    def read(self) -> bool:
        self.reports.read()
        return True

    def read_until(self, count: int) -> list[str]:
        """Read until so many reports are there. Returns their leases."""
        wait_for(lambda: self.read() and len(self.taken) >= count)
        return self.leases

    @property
    def leases(self) -> list[str]:
        return [report.lease_id for report in self.taken]


@pytest.fixture
def parent() -> Iterator[Parent]:
    """A worker's parent process."""
    made = Parent()
    yield made
    made.reports.close()


def report(lease: str, size: int = 0) -> Report:
    """Return the report of a success with a result of so many characters."""
    return Report(lease, SUCCEEDED, None, "x" * size, None, 0.25, "shown")


def test_what_a_child_reports_comes_as_it_was_sent(parent: Parent) -> None:
    sent = [
        report("one"),
        Report("two", outcomes.RetryIn(2.5), Failure("ValueError", "no", "Traceback …"), None, None, 1.5, ""),
        Report("three", outcomes.Dead(outcomes.Reason.INVALID), Failure("Misfit", "no\x00"), None, None, 0.0, ""),
    ]

    def child() -> None:
        parent.reports.send(sent[:2])
        parent.reports.send(sent[2:])

    forked.run(child)
    parent.read()
    assert parent.taken == sent
    parent.read()
    assert len(parent.taken) == 3


def test_what_the_parent_itself_reports_is_taken_at_once(parent: Parent) -> None:
    parent.reports.send([report("one"), report("two", 3 * MOST)])
    assert (parent.leases, parent.calls) == (["one", "two"], 1)
    parent.read()
    assert parent.calls == 1


@pytest.mark.parametrize("size", [MOST - 400, MOST, MOST + 1, 2 * MOST, 40 * MOST + 17])
def test_a_report_of_any_size_comes_whole(parent: Parent, size: int) -> None:
    pid = forked.fork(lambda: parent.reports.send([report("large", size), report("next")]))
    assert parent.read_until(2) == ["large", "next"]
    assert forked.ended(pid) == 0
    assert parent.taken[0] == report("large", size)
    assert parent.calls == 1


def test_reports_after_a_large_one_come_in_order(parent: Parent) -> None:
    def child() -> None:
        for number in range(5):
            parent.reports.send([report(f"{number} large", 5 * MOST)])
            parent.reports.send([report(f"{number} small")])

    pid = forked.fork(child)
    leases = parent.read_until(10)
    assert forked.ended(pid) == 0
    assert leases == [f"{number} {kind}" for number in range(5) for kind in ("large", "small")]


def test_what_was_sent_is_there_though_the_process_is_killed_right_after(parent: Parent) -> None:
    def child() -> None:
        parent.reports.send([report("small"), report("large", MOST + 1)])
        forked.die()

    pid = forked.fork(child)
    assert forked.ended(pid) == -9
    assert parent.read_until(2) == ["small", "large"]


def test_pieces_of_two_children_do_not_mix(parent: Parent) -> None:
    def child(name: str) -> None:
        for number in range(20):
            parent.reports.send([Report(f"{name}{number}", SUCCEEDED, None, name * (3 * MOST), None, 0.0, "")])

    pids = [forked.fork(lambda name=name: child(name)) for name in "ab"]  # type: ignore[misc]
    parent.read_until(40)
    assert [forked.ended(pid) for pid in pids] == [0, 0]
    for name in "ab":
        mine = [found for found in parent.taken if found.lease_id[0] == name]
        assert [found.lease_id for found in mine] == [f"{name}{number}" for number in range(20)]
        assert {found.result for found in mine} == {name * (3 * MOST)}


def test_what_a_child_died_amid_of_costs_no_other_report(parent: Parent) -> None:
    """It is blocked while the parent does not read: nobody has the rest of its report."""
    pid = forked.fork(lambda: parent.reports.send([report("never whole", 100 * MOST)]))
    wait_for(lambda: is_blocked(pid))
    os.kill(pid, 9)
    assert forked.ended(pid) == -9
    # What the dead one has sent fills the socket: this one too waits until the parent reads.
    other = forked.fork(lambda: parent.reports.send([report("another")]))
    assert parent.read_until(1) == ["another"]
    assert forked.ended(other) == 0
    # The system may give its number to another process of the pool.
    second = forked.fork(lambda: parent.reports.send([report("large", 2 * MOST)]))
    parent.reports._pieces[second] = parent.reports._pieces.pop(pid)
    assert parent.read_until(2) == ["another", "large"]
    assert forked.ended(second) == 0


def is_blocked(pid: int) -> bool:
    """Return whether a process sleeps in a system call that sends."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


def test_it_says_that_there_is_something_to_read(parent: Parent) -> None:
    waiting = select.poll()
    waiting.register(parent.reports, select.POLLIN)
    assert not waiting.poll(0)
    forked.run(lambda: parent.reports.send([report("one")]))
    assert waiting.poll(0)
    parent.read()
    assert not waiting.poll(0)


def test_a_report_that_nobody_takes_is_an_error() -> None:
    reports = Reports()
    with pytest.raises(RuntimeError, match="Nobody takes reports yet"):
        reports.send([report("one")])
    reports.close()
