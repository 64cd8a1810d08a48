"""What a process logged is kept though it was killed right after, and is there while its job runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.enqueue.dispatcher import flush
from jobs.models import AttemptLog, Job
from tests.acceptance.engine import IMPATIENT, QUICK, ended
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("database", "no_effects")]


@pytest.fixture
def no_effects(effects: Path) -> None:
    """Somewhere to leave effects."""


def test_the_last_words_of_a_killed_process_are_kept(start_worker: Callable[..., Worker]) -> None:
    start_worker(pool="prefork", concurrency=2, options=QUICK, environment=IMPATIENT)
    killed = Job.objects.get(pk=tasks.last_words.delay("It ends here").id)
    many = Job.objects.get(pk=tasks.talkative.delay("Counting", times=100).id)
    odd = Job.objects.get(pk=tasks.mumble.delay().id)
    # More than a socket holds at once, and less than is kept: it costs no other job its lines.
    flood = Job.objects.get(pk=tasks.talkative.delay("So much", times=1_400).id)
    quiet = [Job.objects.get(pk=tasks.talkative.delay("So little").id) for _ in range(20)]
    flush()
    assert set(ended(killed, many, odd, flood, *quiet)) == {"succeeded"}
    assert wait_for(lambda: "It ends here" in logged(killed), 10)
    assert wait_for(lambda: logged(many).count("Counting") == 100, 10)
    assert wait_for(lambda: logged(flood).count("So much") == 1_400, 10)
    assert wait_for(lambda: all("So little" in logged(job) for job in quiet), 10)
    assert wait_for(lambda: "A message of tests.talkative that cannot be put into words." in logged(odd), 10)


def logged(job: Job) -> str:
    return "".join(AttemptLog.objects.filter(job=job).values_list("text", flat=True))
