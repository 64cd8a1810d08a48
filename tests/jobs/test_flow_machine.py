"""Limits, pauses, breakers, tenants, a renamed task and cancelled jobs, in any order, beside a plain model of them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from uuid_utils.compat import uuid7

from jobs import Breaker, job
from jobs.core.limits import Kind
from jobs.core.outcome import Succeeded
from jobs.core.states import State
from jobs.flow.breakers import Breakers, look_after
from jobs.flow.claim import Worker
from jobs.ledger import attempts, claims, enqueue_once, operate, record, renames
from jobs.ledger.claims import Claimed
from jobs.models import CircuitBreaker, FlowRule, Job, Queue, Turn
from jobs.operations import breakers as breaker_operations, flow as operations
from tests.jobs.rows import new_job
from tests.tasks_app import tasks

OLD, NEW, OTHER = "tests.flow_machine.old", "tests.flow_machine.new", tasks.noop.name
BREAKER = Breaker("tests.flow_machine")
QUEUE = "default"
WORKER = Worker("worker@test", [QUEUE], 60.0)


@job(name=NEW, aliases=[OLD], breaker=BREAKER)
def renamed() -> None: ...


#: What can be limited or paused, by each of its names.
RULES = [
    *((Kind.TASK, name) for name in (OLD, NEW, OTHER)),
    *((Kind.TENANT, name) for name in ("a", "b")),
    (Kind.QUEUE, QUEUE),
]


def most_of(read: Sequence[uuid.UUID]) -> int:
    """Return how many jobs so many messages claim at most: those in line may have their leases, beside all of them."""
    return 2 * len(read)


def present(kind: Kind, name: str) -> tuple[Kind, str]:
    return kind, NEW if name == OLD else name


@dataclass(frozen=True)
class Waits:
    """A job as the model knows it."""

    task: str
    tenant: str | None
    needs: bool
    priority: int

    @property
    def rules(self) -> set[tuple[Kind, str]]:
        """What it is limited and paused by."""
        found = {present(Kind.TASK, self.task), (Kind.QUEUE, QUEUE)}
        return found if self.tenant is None else {*found, (Kind.TENANT, self.tenant)}


JOBS = st.builds(
    Waits,
    task=st.sampled_from([OLD, NEW, OTHER]),
    tenant=st.sampled_from([None, "a", "b"]),
    needs=st.booleans(),
    priority=st.integers(0, 9),
)


class Flow(RuleBasedStateMachine):
    """Messages come in any order and any number of times, beside operators, ends and maintenance."""

    def __init__(self) -> None:
        super().__init__()
        for model in (Job, FlowRule, CircuitBreaker, Turn, Queue):
            model.objects.all().delete()
        renames.note({OLD: NEW}, {NEW})
        self.breakers = Breakers()
        self.jobs: dict[uuid.UUID, Waits] = {}
        self.running: dict[uuid.UUID, Claimed] = {}
        self.over: set[uuid.UUID] = set()
        self.limits: dict[tuple[Kind, str], int] = {}
        self.paused: set[tuple[Kind, str]] = set()
        self.is_open = False

    @initialize(jobs=st.lists(JOBS, min_size=4, max_size=10))
    def enqueue_some(self, jobs: list[Waits]) -> None:
        for one in jobs:
            self.enqueue(one)

    @rule(waits=JOBS)
    def enqueue(self, waits: Waits) -> None:
        breaker = BREAKER.name if waits.needs else None
        row = new_job(
            task=waits.task, tenant=waits.tenant, breaker=breaker, priority=waits.priority, queue=QUEUE, id=uuid7()
        )
        enqueue_once.write(row)
        self.jobs[row.id] = waits

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def read_messages(self, data: Any) -> None:
        read = data.draw(st.lists(st.sampled_from(sorted(self.jobs)), min_size=1, max_size=5, unique=True))
        self.take(self.claim(read), most_of(read))

    @rule(room=st.integers(1, 5))
    def look(self, room: int) -> None:
        self.take(self.breakers.claim_held([uuid.uuid4().hex for _ in range(room)], WORKER), room)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: Any) -> None:
        self.succeed(self.running[data.draw(st.sampled_from(sorted(self.running)))])

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        waits = job_id not in self.running and job_id not in self.over
        assert len(operate.cancel([job_id], "not wanted")) == waits
        if waits:
            self.over.add(job_id)

    @rule(
        of=st.sampled_from(RULES),
        what=st.sampled_from(["limit", "pause", "resume", "breaker"]),
        concurrency=st.sampled_from([None, 1, 2, 3]),
        is_open=st.booleans(),
    )
    def operate(self, of: tuple[Kind, str], what: str, concurrency: int | None, is_open: bool) -> None:
        match what:
            case "limit":
                self.limit(of, concurrency)
            case "pause":
                operations.pause(*of, actor="ann")
                self.paused.add(present(*of))
            case "resume":
                self.resume(of)
            case _:
                self.turn_breaker(is_open=is_open)

    @rule()
    def maintain(self) -> None:
        look_after()

    def limit(self, of: tuple[Kind, str], concurrency: int | None) -> None:
        operations.set_limit(*of, rate=None, concurrency=concurrency, actor="ann")
        self.limits.pop(present(*of), None)
        if concurrency is not None:
            self.limits[present(*of)] = concurrency

    def resume(self, of: tuple[Kind, str]) -> None:
        operations.resume(*of, actor="ann")
        self.paused.discard(present(*of))

    def turn_breaker(self, *, is_open: bool) -> None:
        change = breaker_operations.open_breaker if is_open else breaker_operations.close_breaker
        change(BREAKER.name, actor="ann")
        self.is_open = is_open

    def claim(self, job_ids: Sequence[uuid.UUID]) -> list[Claimed]:
        asked = {job_id: uuid.uuid4().hex for job_id in job_ids}
        found = claims.claim_many(asked, lease_seconds=60, worker=WORKER.name)
        ruled = {job_id: asked[job_id] for job_id in found.ruled}
        return [*found.claimed, *self.breakers.claim(ruled, WORKER).claimed]

    def take(self, claimed: Sequence[Claimed], most: int) -> None:
        """Compare what was claimed with what might be."""
        assert len(claimed) <= most
        before = {of: self.count(of) for of in self.limits}
        for one in claimed:
            waits = self.jobs[one.id]
            assert one.id not in self.running
            assert one.id not in self.over
            assert not self.paused & waits.rules
            assert not (self.is_open and waits.needs)
            self.running[one.id] = one
        for of, most_at_once in self.limits.items():
            # A limit that was lowered ends nothing.
            assert self.count(of) <= max(most_at_once, before[of])
        assert set(Job.objects.filter(state=State.RUNNING).values_list("pk", flat=True)) == set(self.running)

    def count(self, of: tuple[Kind, str]) -> int:
        return sum(of in self.jobs[job_id].rules for job_id in self.running)

    def succeed(self, one: Claimed) -> None:
        record.record_many([attempts.Ended(one.id, one.lease_id, one.attempt, Succeeded())])
        self.over.add(one.id)
        del self.running[one.id]

    def teardown(self) -> None:
        """Let everything go on: then everything runs, and nothing was held back for ever."""
        self.turn_breaker(is_open=False)
        for of in self.paused | self.limits.keys():
            self.resume(of)
        for _ in range(2 * len(self.jobs) + 5):
            self.maintain()
            waiting = list(Job.objects.filter(state=State.QUEUED, held_by=None).values_list("pk", flat=True))
            self.take(self.claim(waiting), most_of(waiting))
            self.look(room=5)
            for one in list(self.running.values()):
                self.succeed(one)
        assert self.over == set(self.jobs)
        assert not Job.objects.filter(state=State.QUEUED).exists()


@pytest.mark.django_db
@pytest.mark.timeout(300)
def test_flow_keeps_to_every_rule_and_holds_nothing_back_for_ever() -> None:
    run_state_machine_as_test(
        Flow,
        settings=settings(max_examples=25, stateful_step_count=25),
    )
