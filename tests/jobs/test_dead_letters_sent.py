"""The letters of jobs that give up together are sent together, and what is wrong with one queue holds up no other."""

import pytest

from jobs.core import outcome as outcomes
from jobs.core.outcome import Reason
from jobs.ledger.put_back import put_back
from jobs.worker.dead_letters import DeadLetters
from jobs.worker.recorder import End
from tests.jobs.delivery import InThisProcess
from tests.jobs.rows import ERROR, written
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def giving_up(queue: str, count: int) -> list[End]:
    """Return the ends of running jobs that give up."""
    jobs = InThisProcess().claim(*(written(queue=queue, task=tasks.noop.name).id for _ in range(count)))
    return [End(job, outcomes.Dead(Reason.EXHAUSTED), ERROR) for job in jobs]


def test_a_queue_whose_letters_are_refused_holds_up_no_other(valkey: Valkey) -> None:
    valkey.client.set("odd.dead", "a key that is no list")
    parked: list[End] = []
    dead_letters = DeadLetters(parked.extend)
    odd, good, later = giving_up("odd", 2), giving_up("default", 120), giving_up("default", 1)
    dead_letters.send([*odd, *good])
    try:
        wait_for(lambda: len(parked) == len(good))
        dead_letters.send(later)
        wait_for(lambda: {end.job for end in parked} == {end.job for end in [*good, *later]})
        assert valkey.client.llen("default.dead") == 121
        valkey.client.delete("odd.dead")
        wait_for(lambda: len(parked) == 123, 30)
    finally:
        dead_letters.stop(10)
    assert valkey.client.llen("odd.dead") == 2
    assert all(end.is_parked for end in parked)


def test_a_job_whose_lease_is_lost_gets_no_letter(valkey: Valkey) -> None:
    parked: list[End] = []
    dead_letters = DeadLetters(parked.extend)
    mine, lost = giving_up("default", 2)
    put_back([lost.job.job.lease_id])
    dead_letters.send([mine, lost])
    dead_letters.stop(10)
    # The ledger refuses its end, and says so.
    assert {end.job for end in parked} == {mine.job, lost.job}
    assert valkey.client.llen("default.dead") == 1
