"""Workers with older code beside workers with newer code: jobs wait for the ones that can run them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from jobs.core.states import State
from jobs.models import Job
from tests.acceptance.worker import Worker
from tests.jobs.rows import written
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = pytest.mark.timeout(180)

#: A worker whose code does not have the tasks of the tests.
OLD_CODE = {"EXTRA_APPS": ""}


def reloaded(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


@pytest.mark.parametrize(
    "database, transport",
    [("postgres", "broker"), ("postgres", "ledger://"), ("sqlite", "ledger://")],
    indirect=["database"],
)
def test_a_job_of_newer_code_waits_for_it(
    start_worker: Callable[..., Worker], effects: Effects, transport: str, worker_environment: dict[str, str]
) -> None:
    if transport == "ledger://":
        worker_environment["BROKER_URL"] = transport
    old = start_worker(name="old", environment=OLD_CODE, pool="threads")
    job = tasks.note.delay("x").job
    wait_for(lambda: reloaded(job).held_by, 20, what="the old worker to hold it back")
    held = reloaded(job)
    assert (held.state, held.attempt, held.held_by) == (State.QUEUED, 0, "unknown-task")
    always(lambda: reloaded(job).state == State.QUEUED, 2)
    start_worker(name="new", pool="threads")
    # The old one listens on, and may get it some more times.
    wait_for(lambda: reloaded(job).state == State.SUCCEEDED, 60, what="the newer code to run it")
    assert effects.count("x") == 1
    assert old.exit_code is None
    assert not reloaded(job).attempts.exists()


@pytest.mark.parametrize(
    "database, arguments, options, why",
    [
        ("postgres", ["x", "one more"], None, "too many positional arguments"),
        ("sqlite", ["x"], {"version": 2}, "are of version 2"),
    ],
    ids=["an argument more", "a later version"],
    indirect=["database"],
)
def test_what_the_code_does_not_take_is_waited_for_and_then_given_up(
    start_worker: Callable[..., Worker], effects: Effects, arguments: list[str], options: Any, why: str
) -> None:
    worker = start_worker(pool="prefork", environment={"JOBS_DEPLOY_GRACE": "2"})
    job = written(task=tasks.note.name, args=json.dumps(arguments), options=options)
    wait_for(lambda: reloaded(job).held_by == "invalid", 20, what="the worker to hold it back")
    wait_for(lambda: reloaded(job).state == State.DEAD, 20, what="it to give up")
    letter: Any = wait_for(reloaded(job).dead_letters.first, 20, what="its dead letter")
    assert letter.reason == "invalid"
    assert why in letter.error
    assert reloaded(job).attempt == 0
    assert effects.count("x") == 0
    assert worker.exit_code is None
