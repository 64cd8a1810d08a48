"""What is claimed for the pool, how far ahead, and how it goes back: a handover in an event loop, with a still pool."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.worker import state
from kombu.asynchronous import Hub

from jobs.core.states import State
from jobs.ledger import claims, operate
from jobs.models import Job
from jobs.worker import claimer as module, revoke
from jobs.worker.claim import CLAIMED, BegunBefore, NotOurs
from jobs.worker.claimer import AHEAD_JOBS, Handover
from jobs.worker.exchange import Exchange
from jobs.worker.losses import losses
from jobs.worker.request import JobRequest
from jobs.worker.successes import Successes
from tests.jobs.delivery import delivery_of, request_for
from tests.jobs.loops import turns
from tests.jobs.rows import dispatched
from tests.tasks_app import tasks
from tests.waiting import always, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]

SIZE = 2


class StillPool:
    """A pool that begins nothing by itself."""

    num_processes = SIZE


class Worker:
    """What a worker has between its consumer and its pool."""

    def __init__(self) -> None:
        self.hub, self.exchange = Hub(), Exchange()
        self.handover = Handover(self.exchange)
        self.given: list[JobRequest] = []
        self.handover.connect(StillPool(), self.given.append, self.hub.call_soon)
        self.exchange.serve(self.handover, Successes(self.exchange))
        self.exchange.attach(self.hub)
        self.until(lambda: self.exchange.is_open)

    def until(self, condition: Callable[[], Any]) -> None:
        wait_for(lambda: turns(self.hub) and condition())

    def ever(self, condition: Callable[[], Any]) -> None:
        always(lambda: turns(self.hub) and condition(), 0.3)

    def fetch(self, count: int) -> list[Job]:
        jobs = [dispatched(0, task=tasks.noop.name) for _ in range(count)]
        for job in jobs:
            self.handover.fetched(delivery_of(job))
        return jobs

    def has_run(self, times: int, seconds: float) -> None:
        """Let the pool have run jobs that took so long."""
        for _ in range(times):
            request = delivery_of(dispatched(0, task=tasks.noop.name))
            self.handover.began(request)
            request.ended = True
            self.handover.ended(request, seconds)

    def run(self, request: JobRequest, seconds: float = 0) -> None:
        """Let the pool begin and end one that it was given."""
        self.handover.began(request)
        request.ended = True
        self.handover.ended(request, seconds)


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.exchange.close()
    made.hub.close()


def states(jobs: list[Job]) -> dict[str, int]:
    """Return how many of these are in which state."""
    return dict(Counter(Job.objects.filter(pk__in=[job.pk for job in jobs]).values_list("state", flat=True)))


def test_as_many_are_claimed_as_the_pool_is_free_for_and_the_next_one_when_one_ends(worker: Worker) -> None:
    jobs = worker.fetch(5)
    worker.until(lambda: len(worker.given) == SIZE)
    worker.ever(lambda: states(jobs) == {"queued": 3, "running": 2})
    assert all(request.is_claimed for request in worker.given)
    for request in list(worker.given):
        worker.handover.began(request)
    worker.ever(lambda: len(worker.given) == SIZE)
    worker.run(worker.given[0], 0.5)
    worker.until(lambda: len(worker.given) == SIZE + 1)
    assert [str(job.pk) for job in jobs[:3]] == [request.id for request in worker.given]


def test_while_jobs_are_short_some_are_claimed_ahead_and_wait_for_the_pool(worker: Worker) -> None:
    worker.has_run(100, 0.0001)
    jobs = worker.fetch(50)
    ahead = SIZE * AHEAD_JOBS
    # Claimed in groups: the next one when half of the last one is used up.
    worker.until(lambda: states(jobs).get("running", 0) > ahead // 2)
    worker.ever(lambda: len(worker.given) == SIZE)
    assert ahead // 2 < states(jobs)["running"] == len(worker.handover.holders()) <= SIZE + ahead
    for run in range(50):
        worker.until(lambda run=run: len(worker.given) > run)  # type: ignore[misc]
        worker.run(worker.given[run])
    assert states(jobs) == {"running": 50}
    worker.has_run(50, 1)
    more = worker.fetch(5)
    worker.until(lambda: states(more).get("running") == SIZE)
    worker.ever(lambda: states(more) == {"queued": 3, "running": 2})


def test_what_does_not_begin_soon_is_put_back_and_left_to_whoever_begins_it(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    worker.has_run(100, 0.0001)
    jobs = worker.fetch(6)
    worker.until(lambda: states(jobs) == {"running": 6})
    waiting = jobs[SIZE:]
    operate.ask_to_cancel([waiting[0].pk])
    worker.until(lambda: worker.handover.tend() or len(worker.given) == 6)
    assert [request.is_claimed for request in worker.given] == [True, True, False, False, False, False]
    assert states(waiting) == {"queued": 3, "cancelled": 1}
    back = Job.objects.get(pk=waiting[1].pk)
    assert (back.attempt, back.lease_id, back.attempts.count()) == (0, None, 0)
    # Its message is here still: nobody need send another one.
    assert back.dispatched_at is not None
    worker.given[3].execute()
    back.refresh_from_db()
    assert (back.state, back.attempt) == (State.SUCCEEDED, 1)


def test_what_was_fetched_and_waits_long_is_left_to_the_pool(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.fetch(5)
    worker.until(lambda: len(worker.given) == SIZE)
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    worker.until(lambda: worker.handover.tend() or len(worker.given) == 5)
    assert [request.is_claimed for request in worker.given] == [True, True, False, False, False]


def test_nothing_is_claimed_behind_jobs_that_last(worker: Worker) -> None:
    worker.has_run(100, 0.0001)
    worker.fetch(SIZE)
    worker.until(lambda: len(worker.given) == SIZE)
    for request in list(worker.given):
        worker.handover.began(request)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > module.AHEAD_SECONDS)
    behind = worker.fetch(3)
    worker.ever(lambda: states(behind) == {"queued": 3})


def test_a_job_that_is_claimed_and_waits_can_be_recalled_and_one_that_the_pool_has_cannot(worker: Worker) -> None:
    worker.has_run(100, 0.0001)
    jobs = worker.fetch(3)
    worker.until(lambda: worker.handover._ready)
    waiting = worker.handover.recall(jobs[2].pk)
    assert waiting is not None
    assert waiting.job_id == jobs[2].pk
    assert worker.handover.recall(jobs[2].pk) is None
    assert worker.handover.recall(jobs[0].pk) is None
    for request in list(worker.given):
        worker.run(request)
    worker.ever(lambda: len(worker.given) == SIZE)


def test_a_job_that_is_claimed_and_waits_is_cancelled_when_it_is_revoked(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revoke, "handover", worker.handover)
    worker.has_run(100, 0.0001)
    jobs = worker.fetch(3)
    worker.until(lambda: worker.handover._ready)
    revoke.Revoked([str(jobs[0].pk), str(jobs[2].pk)]).write()
    # The pool may have begun the first one.
    assert states(jobs) == {"running": 2, "cancelled": 1}
    jobs[2].refresh_from_db()
    assert (jobs[2].state, jobs[2].lease_id) == (State.CANCELLED, None)


def test_while_plain_tasks_run_the_pool_alone_knows_when_it_has_room(worker: Worker) -> None:
    job = dispatched(0, task=tasks.noop.name)
    plain = request_for("[[], {}, {}]", {"task": tasks.plain.name, "id": "plain", "lang": "py"})
    state.task_accepted(plain)
    worker.fetch(1)
    assert [request.is_claimed for request in worker.given] == [False]
    state.task_ready(plain)
    worker.handover.fetched(delivery_of(job))
    worker.until(lambda: len(worker.given) == 2)
    assert worker.given[1].is_claimed


def test_when_the_connection_is_lost_what_the_pool_does_not_have_goes_back_to_be_sent_again(worker: Worker) -> None:
    worker.has_run(100, 0.0001)
    jobs = worker.fetch(6)
    worker.until(lambda: states(jobs) == {"running": 6})
    worker.exchange.detach()
    worker.handover.drop()
    assert len(worker.handover.holders()) == SIZE
    losses.write_all()
    assert states(jobs) == {"queued": 4, "running": 2}
    back = [job.pk for job in jobs[SIZE:]]
    assert Job.objects.filter(pk__in=back, dispatched_at=None, attempt=0).count() == 4
    worker.handover.withdraw(worker.given[:1])
    losses.write_all()
    assert states(jobs) == {"queued": 5, "running": 1}
    worker.handover.close()
    losses.write_all()
    assert states(jobs) == {"queued": 6}
    worker.given.clear()
    worker.fetch(1)
    assert [request.is_claimed for request in worker.given] == [False]


def test_what_got_lost_on_its_way_to_the_pool_is_left_to_its_lease(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEGIN_SHARE", 0)
    monkeypatch.setattr(module, "NEWS_SECONDS", 0.1)
    worker.fetch(1)
    worker.until(lambda: worker.given)
    worker.until(lambda: worker.handover.tend() or not worker.handover.holders())
    worker.fetch(SIZE)
    worker.until(lambda: len(worker.given) == 1 + SIZE)


def test_a_job_that_is_claimed_begins_without_a_question_and_only_once() -> None:
    job = dispatched(0, task=tasks.noop.name)
    request = delivery_of(job)
    taken = claims.claim(job.pk, lease_id=request.lease_id, lease_seconds=60, worker="worker@test")
    assert taken is not None
    request.claim(taken, time.monotonic() + 60)
    request.execute()
    job.refresh_from_db()
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    result = request.execute()
    assert isinstance(result.exception.exc, BegunBefore)


def test_a_job_that_comes_too_late_to_its_process_is_put_back_by_it() -> None:
    job = dispatched(0, task=tasks.noop.name)
    request = delivery_of(job)
    taken = claims.claim(job.pk, lease_id=request.lease_id, lease_seconds=60, worker="worker@test")
    assert taken is not None
    request.claim(taken, time.monotonic() - 1)
    result = request.execute()
    assert isinstance(result.exception.exc, NotOurs)
    job.refresh_from_db()
    assert (job.state, job.attempt, job.dispatched_at) == (State.QUEUED, 0, None)


def test_a_claim_in_doubt_is_looked_for_before_it_is_made_again() -> None:
    made, unmade = dispatched(0, task=tasks.noop.name), dispatched(0, task=tasks.noop.name)
    for job in (made, unmade):
        request = delivery_of(job)
        if job is made:
            claims.claim(job.pk, lease_id=request.lease_id, lease_seconds=60, worker="worker@test")
        request.doubt()
        assert CLAIMED not in request._request_dict
        request.execute()
        job.refresh_from_db()
        assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
