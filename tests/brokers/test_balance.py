"""Jobs of very different lengths on two workers: what a busy one has fetched does not wait for it."""

import pytest

from jobs.enqueue import dispatcher
from jobs.models import Job
from tests.brokers.conftest import IMPATIENT, some_systems
from tests.brokers.system import System
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(180)


@some_systems
def test_short_jobs_do_not_wait_behind_a_long_one_while_another_worker_is_idle(system: System, pool: str) -> None:
    for name in ("one", "two"):
        # Nothing is taken for lost, and sent again for that.
        system.start_worker(
            name=name, pool=pool, concurrency=1, environment={**IMPATIENT, "JOBS_RESEND_SECONDS": "600"}
        )
    gate = system.gate("gate")
    long = tasks.gated.delay("long", str(gate))
    wait_for(lambda: system.effects.count("long began"))
    names = [f"short {number}" for number in range(12)]
    for name in names:
        # One message each: what comes in a chunk is split anyway.
        tasks.note.delay(name)
        dispatcher.flush()
    wait_for(lambda: all(system.effects.count(name) for name in names), 20, what="the short jobs to end")
    assert system.effects.count("long ended") == 0
    gate.touch()
    wait_for(lambda: Job.objects.get(pk=long.id).state == "succeeded")
    assert [name for name in names if system.effects.count(name) != 1] == []
