"""Results of jobs that real workers run."""

from collections.abc import Callable

import pytest
from celery.result import AsyncResult

from jobs import Permanent
from tests.acceptance.engine import QUICK, two_houses
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks


@two_houses
def test_get_waits_for_what_a_worker_returns(start_worker: Callable[..., Worker], pool: str) -> None:
    start_worker(options=QUICK, pool=pool, concurrency=3)
    asked = AsyncResult(tasks.double.delay(21).id)
    assert (asked.get(timeout=30), asked.state) == (42, "SUCCESS")
    refused: AsyncResult = tasks.impatient.delay()
    assert "Never call result.get() within a task" in refused.get(timeout=30)
    allowed = [tasks.patient.delay(how) for how in ("disable_sync_subtasks", "allow_join_result")]
    assert [result.get(timeout=30) for result in allowed] == [42, 42]
    with pytest.raises(Permanent, match="no retry can mend it"):
        tasks.steer.delay("permanent").get(timeout=30)
