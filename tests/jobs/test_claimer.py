"""A worker claims what its pool can begin soon, gives it on in chunks, and acknowledges a message when it may."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import current_app
from hypothesis import given, strategies as st

from jobs.core.held_by import HeldBy
from jobs.core.outcome import HeldBack
from jobs.ledger.claims import Claimed
from jobs.worker.claimer import Claimer
from jobs.worker.deliveries import Answer, Delivery, Wanted
from jobs.worker.events import Events
from jobs.worker.main_thread import MainThread
from jobs.worker.pace import FIRST_MEAN, MOST_AT_ONCE, WEIGHT, Means
from jobs.worker.pool import CHUNK_JOBS, CHUNK_SECONDS, PATIENCE, Ready
from jobs.worker.recorder import End
from jobs.worker.reserved import Reserved, ReservedJob
from jobs.worker.started_flags import Began, started
from jobs.worker.waiting import Waiting
from tests.tasks_app import tasks

#: Longer than PATIENCE ago.
LONG = PATIENCE + 5.0


def taken(lease: str = "", task: str = tasks.noop.name, breaker: str | None = None) -> Claimed:
    """Return a job as the ledger tells of it."""
    values: dict[str, Any] = {"args": "[]", "kwargs": "{}", "options": None, "correlation_id": "", "parent_id": None}
    counts: dict[str, Any] = {"priority": 5, "attempt": 1, "attempt_base": 0, "max_retries": None, "worker_losses": 0}
    lease = lease or uuid.uuid4().hex
    return Claimed(uuid.uuid4(), lease, task, "default", breaker=breaker, **counts, **values)


def reserved(task: Any = tasks.noop) -> ReservedJob:
    """Return a claimed job."""
    return ReservedJob(taken(task=task.name), task, "worker@test")


@dataclass
class FakePool:
    """Takes chunks, and runs none."""

    size: int = 2
    chunk_jobs: int = CHUNK_JOBS
    given: list[Sequence[Sequence[ReservedJob]]] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.size - len(self.given)

    def chunks(self) -> list[Any]:
        return [SimpleNamespace(given_at=0.0) for _ in self.given]

    def give(self, calls: Sequence[Sequence[ReservedJob]]) -> None:
        self.given.append(calls)


@dataclass
class FakeLedger:
    """Notes what is asked of it."""

    asked: list[Wanted] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)

    def claim(self, asked: Sequence[Wanted]) -> None:
        self.asked.extend(asked)

    def record(self, ends: Sequence[End]) -> None:
        self.ends.extend(ends)


class Worker:
    """A claimer between a pool and a ledger that do nothing."""

    def __init__(self, size: int = 2) -> None:
        self.pool, self.ledger = FakePool(size), FakeLedger()
        self.reserved = Reserved()
        self.redispatched: list[uuid.UUID] = []
        self.released: list[ReservedJob] = []
        self.acknowledged: list[str] = []
        consumer: Any = SimpleNamespace(
            hostname="worker@test", qos=None, initial_prefetch_count=0, event_dispatcher=None
        )
        self.consumer = consumer
        self.claimer = Claimer(current_app, consumer, MainThread(None), self.reserved, Events(consumer))
        #: Leases with which jobs were asked for that wait without a message, while it is time for that.
        self.is_time, self.from_lines = False, list[str]()
        self.claimer.serve(
            cast("Any", self.pool),
            cast("Any", self.ledger),
            self.redispatched.extend,
            self.released.extend,
            lambda: self.from_lines.extend(self.claimer.ask_lines() if self.is_time else ()),
        )

    def message(self, name: str, jobs: int = 1) -> list[Wanted]:
        """Deliver a message of so many jobs."""
        delivery = Delivery(lambda: self.acknowledged.append(name), jobs)
        wanted = [Wanted(uuid.uuid4(), "default", "", delivery, in_chunk=jobs > 1) for _ in range(jobs)]
        self.claimer.deliver(wanted)
        return wanted

    def answer(self, asked: Sequence[Wanted], claimed: Sequence[Claimed] = (), again: Sequence[uuid.UUID] = ()) -> None:
        """Let the ledger answer."""
        self.claimer.answered(asked, Answer(claimed, again))

    def learn(self, seconds: float) -> None:
        """Let so many jobs end that the means are near their time."""
        for _ in range(60):
            job = reserved()
            self.claimer.ended(job, seconds)
            started.free(job.slot)


def test_a_mean_begins_at_a_second_and_follows_what_jobs_take() -> None:
    means = Means()
    assert means.of("mail") == FIRST_MEAN
    means.note("mail", 0.0)
    assert means.of("mail") == pytest.approx(FIRST_MEAN * (1 - WEIGHT))
    for _ in range(100):
        means.note("mail", 0.004)
    assert means.of("mail") == pytest.approx(0.004, rel=0.01)
    assert means.of("other") == FIRST_MEAN


def test_what_would_begin_in_vain_is_put_back_when_its_breaker_opens() -> None:
    worker = Worker()
    worker.learn(0.001)
    asked = worker.message("chunk", 6)
    worker.pool.given = [[], []]
    needs = ["smtp", None, "search", "smtp", None, "smtp"]
    claimed = [taken(one.lease_id, breaker=name) for one, name in zip(asked, needs, strict=True)]
    worker.answer(asked, claimed)
    worker.claimer.opened(["smtp"])
    assert [job.job.breaker for job in worker.released] == ["smtp"] * 3
    worker.pool.given = []
    worker.claimer.soon()
    worker.claimer.look()
    begun = [job.job.breaker for calls in worker.pool.given for call in calls for job in call]
    assert sorted(map(str, begun)) == ["None", "None", "search"]


def test_of_jobs_that_nobody_knows_one_is_claimed_for_each_free_process() -> None:
    worker = Worker(size=3)
    worker.message("chunk", 50)
    assert len(worker.ledger.asked) == 3
    assert set(worker.reserved.leases()) == {wanted.lease_id for wanted in worker.ledger.asked}


def test_what_waits_without_a_message_is_asked_for_before_a_flood_of_messages_has_all_the_room() -> None:
    worker = Worker()
    worker.message("chunk", 50)
    first = list(worker.ledger.asked)
    worker.is_time = True
    worker.answer(first, [taken(one.lease_id) for one in first])
    # Both processes are busy, and then free again.
    assert (len(worker.pool.given), worker.from_lines) == (2, [])
    worker.pool.given = []
    worker.claimer.look()
    assert len(worker.from_lines) == 2
    assert worker.ledger.asked == first


def test_a_pool_that_is_busy_with_slow_jobs_claims_none_ahead() -> None:
    worker = Worker()
    worker.pool.given = [[], []]
    worker.learn(0.001)
    worker.message("chunk", 50)
    assert worker.ledger.asked == []


@pytest.mark.parametrize("seconds, each", [(0.001, 20), (0.004, 5), (0.00001, CHUNK_JOBS), (0.5, 1)])
def test_of_quick_jobs_so_many_are_claimed_as_run_in_a_moment(seconds: float, each: int) -> None:
    worker = Worker()
    worker.learn(seconds)
    worker.message("chunk", 1000)
    ahead = 2 if each > 1 else 0
    assert len(worker.ledger.asked) == pytest.approx(min(MOST_AT_ONCE, each * (2 + ahead)), abs=4)


def test_a_message_is_acknowledged_when_the_last_of_its_jobs_is_settled_and_once() -> None:
    worker = Worker(size=5)
    first, second, third = worker.message("chunk", 3)
    other = worker.message("single")
    worker.answer([first, second], [taken(first.lease_id)])
    assert worker.acknowledged == []
    worker.answer([third, *other])
    assert sorted(worker.acknowledged) == ["chunk", "single"]
    assert worker.reserved.leases() == [first.lease_id]


def test_what_is_locked_is_sent_again_and_its_message_acknowledged() -> None:
    worker = Worker()
    (wanted,) = worker.message("single")
    worker.answer([wanted], again=[wanted.job_id])
    assert (worker.redispatched, worker.acknowledged) == ([wanted.job_id], ["single"])


def test_a_job_of_an_unknown_task_goes_to_the_ledger_and_not_to_the_pool() -> None:
    worker = Worker()
    (wanted,) = worker.message("single")
    worker.answer([wanted], [taken(wanted.lease_id, task="nobody.knows")])
    (end,) = worker.ledger.ends
    assert (end.job.job.lease_id, end.outcome) == (wanted.lease_id, HeldBack(HeldBy.UNKNOWN_TASK))
    assert worker.pool.given == []


def test_what_waits_in_a_chunk_goes_back_alone_when_the_pool_is_busy_for_long() -> None:
    worker = Worker()
    worker.pool.given = [[], []]
    chunk, (single,) = worker.message("chunk", 3), worker.message("single")
    worker.claimer.look()
    assert worker.redispatched == []
    for wanted in (*chunk, single):
        wanted.since -= LONG
    worker.claimer.look()
    assert worker.redispatched == [wanted.job_id for wanted in chunk]
    assert worker.acknowledged == ["chunk"]


def test_what_begins_soon_at_the_pace_of_the_pool_stays_with_it_however_long_it_has_waited() -> None:
    worker = Worker()
    worker.pool.given = [[], []]
    worker.claimer.look()
    chunk = worker.message("chunk", 50)
    for wanted in chunk:
        wanted.since -= LONG
    worker.learn(0.001)
    worker.claimer._ahead.pace._seen_at -= 2.0 * PATIENCE
    # Sixty have ended in two seconds.
    worker.claimer.look()
    assert 15 <= len(worker.redispatched) <= 25
    assert worker.redispatched == [wanted.job_id for wanted in chunk[-len(worker.redispatched) :]]


@pytest.mark.parametrize("jobs, messages", [(1, 508), (100, 6)])
def test_messages_are_taken_ahead_by_how_many_jobs_they_bring(jobs: int, messages: int) -> None:
    worker = Worker()
    worker.pool.given = [[], []]
    worker.learn(0.00001)
    qos = SimpleNamespace(value=8)
    worker.consumer.qos, worker.consumer.initial_prefetch_count = qos, 8
    worker.consumer.connection = SimpleNamespace(transport=SimpleNamespace(driver_type="redis"))
    for _ in range(60):
        worker.message("message", jobs)
    worker.claimer.look()
    # It is not changed for less than half of it.
    assert messages <= qos.value <= 2 * messages


def test_what_waits_for_a_pool_that_ends_nothing_is_sent_again_and_keeps_its_place_with_the_broker() -> None:
    worker = Worker(size=1)
    worker.pool.given = [[]]
    (single,) = worker.message("single")
    single.since -= LONG
    worker.claimer.look()
    # A job has ended a moment ago: the next one may begin soon.
    assert worker.redispatched == []
    worker.claimer._ahead.ended_at -= LONG
    worker.claimer.look()
    worker.claimer.look()
    assert (worker.redispatched, worker.acknowledged) == ([single.job_id], [])
    worker.pool.given.clear()
    worker.claimer.look()
    assert worker.acknowledged == ["single"]
    assert worker.ledger.asked == []


def test_what_was_sent_again_is_acknowledged_when_the_worker_stops() -> None:
    worker = Worker(size=1)
    worker.pool.given = [[]]
    (single,) = worker.message("single")
    single.since -= LONG
    worker.claimer._ahead.ended_at -= LONG
    worker.claimer.look()
    worker.claimer.stop()
    assert (worker.redispatched, worker.acknowledged) == ([single.job_id], ["single"])


def test_what_is_claimed_and_not_begun_in_time_goes_back_or_to_a_free_process() -> None:
    worker = Worker(size=1)
    (wanted,) = worker.message("single")
    worker.answer([wanted], [taken(wanted.lease_id)])
    (((job,),),) = worker.pool.given
    assert not started.begin(job.slot, 0.0)
    worker.claimer.unbegun([job])
    assert worker.released == [job]
    assert started.state(job.slot) == Began.NOT
    worker.pool.given.clear()
    worker.claimer.unbegun([job])
    assert worker.pool.given == [[[job]]]


def test_a_worker_that_stops_lets_go_what_it_has_not_begun() -> None:
    worker = Worker(size=1)
    asked = worker.message("first")
    worker.pool.given = [[]]
    worker.answer(asked, [taken(asked[0].lease_id)])
    waiting = worker.message("second")
    worker.claimer.stop()
    assert [job.job.lease_id for job in worker.released] == [asked[0].lease_id]
    assert worker.redispatched == [waiting[0].job_id]
    assert worker.acknowledged == ["first", "second"]


def chunks(jobs: Sequence[ReservedJob], seconds: Callable[[str], float], share: int) -> list[list[int]]:
    """Return the numbers of jobs in the calls of each chunk that these make."""
    ready = Ready()
    ready.jobs.extend(jobs)
    found = []
    while ready.jobs:
        found.append([len(call) for call in ready.next_chunk(seconds, share)])
    return found


def test_quick_jobs_lie_together_up_to_their_share_and_slow_ones_alone() -> None:
    jobs = [reserved() for _ in range(10)]
    assert chunks(jobs, lambda _: 0.0001, 4) == [[1] * 4, [1] * 4, [1] * 2]
    assert chunks(jobs, lambda _: CHUNK_SECONDS / 2, 100) == [[1, 1]] * 5
    assert chunks(jobs, lambda _: 1.0, 100) == [[1]] * 10


def test_a_chunk_has_no_more_than_its_most() -> None:
    jobs = [reserved() for _ in range(CHUNK_JOBS + 20)]
    assert [len(chunk) for chunk in chunks(jobs, lambda _: 0.0, 1000)] == [CHUNK_JOBS, 20]


def test_jobs_of_a_batch_task_that_lie_together_are_one_call_whatever_the_share() -> None:
    batch = next(task for task in current_app.tasks.values() if getattr(task, "batch", 0) >= 2)
    size = batch.batch
    jobs = [*(reserved(batch) for _ in range(size + 1)), reserved(), reserved(batch)]
    made = chunks(jobs, lambda _: 0.0, 1000)
    assert [number for chunk in made for number in chunk][:4] == [size, 1, 1, 1]
    assert chunks(jobs[:size], lambda _: 1.0, 1) == [[size]]


@given(st.lists(st.integers(min_value=0, max_value=9)), st.integers(min_value=1, max_value=20))
def test_the_most_urgent_wait_for_the_least_and_among_alike_who_came_first(priorities: list[int], at_once: int) -> None:
    arrived = [Arrived(priority, number) for number, priority in enumerate(priorities)]
    waiting: Waiting[Arrived] = Waiting()
    waiting.extend(arrived)
    gone = set(arrived[::3])
    waiting.remove(gone)
    assert len(waiting) == len(arrived) - len(gone)
    assert not gone & set(waiting)
    taken: list[Arrived] = []
    while waiting:
        first = waiting.first()
        taken += waiting.take(at_once)
        assert first in taken
    assert taken == sorted(set(arrived) - gone, key=lambda one: (-one.priority, one.number))


@dataclass(frozen=True)
class Arrived:
    """What waits."""

    priority: int
    number: int
    queue: str = "default"
