"""Queues of one worker share it by their weights, on every broker."""

import pytest

from jobs.core.states import State
from jobs.enqueue import dispatcher
from jobs.models import Job
from tests.brokers.system import System
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(180)

#: Of each queue, and how many of all have begun when it is counted.
JOBS, COUNTED = 60, 48


@pytest.mark.parametrize("heavy, light", [("default", "tests.other")])
def test_queues_with_weights_share_a_worker_and_none_starves(system: System, heavy: str, light: str) -> None:
    for number in range(JOBS):
        # The light queue's came first, and are the more urgent ones.
        tasks.lasting.apply_async(("light", 0.03), queue=light, priority=9)
        tasks.lasting.apply_async(("heavy", 0.03), queue=heavy, priority=1)
        if number % 3 == 0:
            dispatcher.flush()
    dispatcher.flush()
    system.start_worker(
        concurrency=1, queues=[light, heavy], environment={"JOBS_QUEUE_WEIGHTS": f"{heavy}=3,{light}=1"}
    )
    wait_for(lambda: not Job.objects.exclude(state=State.SUCCEEDED).exists(), 90, what="all jobs to end")
    begun = list(Job.objects.order_by("started_at").values_list("queue", flat=True)[:COUNTED])
    # Three of four, but for what is taken ahead of one queue when the other is asked.
    assert COUNTED * 3 / 4 - 9 <= begun.count(heavy) <= COUNTED * 3 / 4 + 9
    assert light in begun[:24]
