"""A job begins once, in one process, and not after its time; whoever looks can tell who has begun it."""

import os
import threading
import time

import pytest

from jobs.worker.started_flags import SLOTS, Began, StartedFlags
from tests.jobs import forked

LONG = 3600.0


@pytest.fixture
def flags() -> StartedFlags:
    """Flags of a worker that has no jobs."""
    return StartedFlags()


def in_time() -> float:
    return time.monotonic() + LONG


def test_what_is_begun_is_seen_with_its_process_and_its_time(flags: StartedFlags) -> None:
    slot = flags.take()
    assert (flags.state(slot), flags.is_running(slot)) == (Began.NOT, False)
    before = time.monotonic()
    assert flags.begin(slot, in_time())
    after = time.monotonic()
    pid, began_at = flags.process(slot)
    assert (flags.state(slot), flags.is_running(slot), pid) == (Began.YES, True, os.getpid())
    assert before <= began_at <= after
    flags.end(slot)
    assert (flags.state(slot), flags.is_running(slot)) == (Began.ENDED, False)
    assert flags.process(slot) == (pid, began_at)


@pytest.mark.parametrize("has_ended", [False, True])
def test_what_has_begun_does_not_begin_again(flags: StartedFlags, has_ended: bool) -> None:
    slot = flags.take()
    assert flags.begin(slot, in_time())
    if has_ended:
        flags.end(slot)
    state, process = flags.state(slot), flags.process(slot)
    assert not flags.begin(slot, in_time())
    assert (flags.state(slot), flags.process(slot)) == (state, process)


def test_what_is_late_does_not_begin_until_it_may_again(flags: StartedFlags) -> None:
    slot, other = flags.take(), flags.take()
    assert not flags.begin(slot, time.monotonic() - 0.001)
    assert (flags.state(slot), flags.is_running(slot)) == (Began.REFUSED, False)
    assert not flags.begin(slot, in_time())
    assert flags.state(other) == Began.NOT
    flags.reset(slot)
    assert flags.begin(slot, in_time())


def test_a_worker_that_stops_begins_nothing_more_and_goes_on_with_what_runs(flags: StartedFlags) -> None:
    running, last = flags.take(), SLOTS - 1
    assert flags.begin(running, in_time())
    assert flags.begin(last, in_time())
    flags.stop()
    waiting = flags.take()
    assert not flags.begin(waiting, in_time())
    assert [flags.state(slot) for slot in (running, last, waiting)] == [Began.YES, Began.YES, Began.REFUSED]


def test_whether_a_job_is_cancelled_is_known_to_its_process_and_whether_that_asks_to_the_parent(
    flags: StartedFlags,
) -> None:
    cancelled, other = flags.take(), flags.take()
    assert flags.begin(cancelled, in_time())
    flags.cancel(cancelled)

    def child() -> None:
        assert flags.asks_cancelled(cancelled)

    forked.run(child)
    assert (flags.has_asked(cancelled), flags.has_asked(other)) == (True, False)
    assert not flags.asks_cancelled(other)
    assert flags.is_running(cancelled)


def test_a_slot_forgets_that_its_last_job_was_cancelled(flags: StartedFlags) -> None:
    taken = [flags.take() for _ in range(SLOTS)]
    flags.asks_cancelled(taken[3])
    flags.cancel(taken[3])
    flags.free(taken[3])
    slot = flags.take()
    assert not flags.has_asked(slot)
    assert not flags.asks_cancelled(slot)


def test_another_process_begins_what_this_one_sees(flags: StartedFlags) -> None:
    slot, ended, late, after_stop = (flags.take() for _ in range(4))

    def child() -> None:
        assert flags.begin(slot, in_time())
        assert flags.begin(ended, in_time())
        flags.end(ended)
        assert not flags.begin(late, time.monotonic() - 1)
        flags.stop()

    pid = forked.run(child)
    assert [flags.state(each) for each in (slot, ended, late)] == [Began.YES, Began.ENDED, Began.REFUSED]
    assert flags.process(slot)[0] == flags.process(ended)[0] == pid
    assert flags.process(slot)[1] <= flags.process(ended)[1] <= time.monotonic()
    assert not flags.begin(slot, in_time())
    assert not flags.begin(after_stop, in_time())


def test_what_a_process_has_begun_is_known_after_its_death(flags: StartedFlags) -> None:
    ended, running, waiting = (flags.take() for _ in range(3))

    def child() -> None:
        flags.begin(ended, in_time())
        flags.end(ended)
        flags.begin(running, in_time())
        forked.die()

    pid = forked.fork(child)
    assert forked.ended(pid) == -9
    assert [flags.state(slot) for slot in (ended, running, waiting)] == [Began.ENDED, Began.YES, Began.NOT]
    assert flags.process(running)[0] == pid


def test_a_slot_is_one_jobs_until_it_is_free_and_then_begins_anew(flags: StartedFlags) -> None:
    taken = [flags.take() for _ in range(SLOTS)]
    assert len(set(taken)) == SLOTS
    slot = taken[7]
    assert flags.begin(slot, in_time())
    flags.free(slot)
    assert flags.take() == slot
    assert flags.state(slot) == Began.NOT
    assert flags.begin(slot, in_time())


def test_slots_that_lie_together_do_not_touch_each_other(flags: StartedFlags) -> None:
    slots = [flags.take() for _ in range(64)]
    for slot in slots[::2]:
        assert flags.begin(slot, in_time())
    assert [flags.state(slot) for slot in slots] == [Began.YES, Began.NOT] * 32
    assert {flags.process(slot) for slot in slots[1::2]} == {(0, 0.0)}


def test_threads_take_each_slot_once(flags: StartedFlags) -> None:
    taken: list[int] = []

    def take() -> None:
        taken.extend(flags.take() for _ in range(500))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(taken)) == 2000
