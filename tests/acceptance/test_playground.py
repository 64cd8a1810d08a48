"""The playground's jobs do what its page says of them."""

from collections import Counter
from collections.abc import Callable

import pytest

from jobs.enqueue.dispatcher import flush
from jobs.models import BreakerChange, Job
from project.playground.fifty import enqueue
from tests.acceptance.engine import IMPATIENT, QUICK
from tests.acceptance.worker import Worker
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("database"),
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


def test_fifty_jobs_end_as_the_page_says(start_worker: Callable[..., Worker]) -> None:
    start_worker(pool="threads", concurrency=4, options=QUICK, environment=IMPATIENT)
    enqueue("test", station_seconds=0.02)
    flush()
    assert wait_for(lambda: states().get("dead") == 5 and states().get("succeeded") == 45, 90), states()
    assert Job.objects.get(task="playground.total").result == sum(number**2 for number in range(1, 7))
    assert set(Job.objects.filter(task="playground.retry").values_list("attempt", flat=True)) == {3}
    assert BreakerChange.objects.exists()


def states() -> Counter[str]:
    return Counter(Job.objects.values_list("state", flat=True))
