"""Forks wait for the steps of other threads, and remember none that has ended."""

import gc
import threading

from jobs.worker import forks
from tests.waiting import wait_for


def step() -> None:
    with forks.held_off():
        pass


def test_a_thread_that_has_ended_leaves_no_lock_behind() -> None:
    gc.collect()
    before = len(forks._locks)
    for _ in range(20):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    wait_for(lambda: gc.collect() is not None and len(forks._locks) <= before)


def test_a_lock_stays_as_long_as_its_thread() -> None:
    end, begun = threading.Event(), threading.Event()

    def work() -> None:
        step()
        begun.set()
        end.wait(10)

    before = len(forks._locks)
    thread = threading.Thread(target=work)
    thread.start()
    begun.wait(10)
    gc.collect()
    assert len(forks._locks) == before + 1
    end.set()
    thread.join()
