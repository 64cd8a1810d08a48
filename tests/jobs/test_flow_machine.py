"""Limits, keys, pauses, breakers, tenants, a renamed task and cancelled jobs, in any order, beside a plain model."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from uuid_utils.compat import uuid7

from jobs import Breaker, job
from jobs.core.breaker import BreakerState, Verdict
from jobs.core.limits import Kind, Limit, Rate
from jobs.core.outcome import Succeeded
from jobs.core.states import State
from jobs.flow.breakers import Breakers, Said, look_after
from jobs.flow.claim import Worker
from jobs.ledger import attempts, breakers, claims, enqueue, operate, record, renames
from jobs.ledger.claims import Claimed
from jobs.models import CircuitBreaker, FlowRule, Job, Queue, Turn
from jobs.operations import breakers as breaker_operations, flow as operations
from tests.jobs.breaker_rows import opened
from tests.jobs.rows import new_job

OLD, NEW, OTHER = "tests.flow_machine.old", "tests.flow_machine.new", "tests.flow_machine.other"
BREAKER = Breaker("tests.flow_machine", failures=2)
QUEUE = "default"
WORKER = Worker("worker@test", [QUEUE], 60.0)

#: What a rule is called by.
Name = tuple[Kind, str]


@job(name=NEW, aliases=[OLD], breaker=BREAKER, key="key", concurrency=2)
def renamed(key: str) -> None: ...


@job(name=OTHER, breaker=BREAKER, key="key", concurrency=2)
def other(key: str) -> None: ...


#: What can be limited or paused, by each of its names.
RULES: list[Name] = [
    *((Kind.TASK, name) for name in (OLD, NEW, OTHER)),
    *((Kind.KEY, f"{name}:x") for name in (OLD, NEW, OTHER)),
    *((Kind.TENANT, name) for name in ("a", "b")),
    (Kind.QUEUE, QUEUE),
]


def present(kind: Kind, name: str) -> Name:
    return kind, name.replace(OLD, NEW)


@dataclass(frozen=True)
class Waits:
    """A job as the model knows it."""

    task: str
    key: str | None
    tenant: str | None
    needs: bool
    priority: int

    @property
    def limits(self) -> list[Name]:
        """What its starts and its place count in: of a task with keys each key has its own."""
        of_task = (Kind.TASK, self.task) if self.key is None else (Kind.KEY, f"{self.task}:{self.key}")
        found = [present(*of_task), (Kind.QUEUE, QUEUE)]
        return found if self.tenant is None else [*found, (Kind.TENANT, self.tenant)]

    @property
    def pauses(self) -> set[Name]:
        """What it is paused by: a task's pause is one of all its keys."""
        return {*self.limits, present(Kind.TASK, self.task)}


JOBS = st.builds(
    Waits,
    task=st.sampled_from([OLD, NEW, OTHER]),
    key=st.sampled_from([None, None, "x", "y"]),
    tenant=st.sampled_from([None, "a", "b"]),
    needs=st.booleans(),
    priority=st.integers(0, 9),
)

#: None of any; so many at once, or in how many seconds, and at one moment.
LIMITS = st.sampled_from(
    [
        Limit(),
        Limit(concurrency=1),
        Limit(concurrency=2),
        Limit(concurrency=3),
        Limit("2/s"),
        Limit("20/s"),
        Limit("2/s", burst=2),
        Limit("20/s", concurrency=2),
    ]
)

#: Of the times at which jobs begin SQLite knows the millisecond.
CLOCK = 0.002


class Flow(RuleBasedStateMachine):
    """Messages come in any order and any number of times, beside operators, ends and maintenance."""

    def __init__(self) -> None:
        super().__init__()
        for model in (Job, FlowRule, CircuitBreaker, Turn, Queue):
            model.objects.all().delete()
        renames.note({OLD: NEW}, {NEW})
        breakers.add([BREAKER.name])
        self.breakers = Breakers()
        self.jobs: dict[uuid.UUID, Waits] = {}
        self.running: dict[uuid.UUID, Claimed] = {}
        self.over: set[uuid.UUID] = set()
        self.figures: dict[Name, Limit] = {}
        #: When jobs begin since their figures are what they are.
        self.starts: dict[Name, list[float]] = defaultdict(list)
        self.paused: set[Name] = set()

    @initialize(
        jobs=st.lists(JOBS, min_size=4, max_size=10),
        limits=st.dictionaries(st.sampled_from(RULES), LIMITS, max_size=4),
        paused=st.sets(st.sampled_from(RULES), max_size=2),
        probe_in=st.sampled_from([None, -1]),
    )
    def begin(self, jobs: list[Waits], limits: dict[Name, Limit], paused: set[Name], probe_in: int | None) -> None:
        for of, limit in limits.items():
            self.limit(of, limit)
        for of in sorted(paused):
            self.pause(of)
        if probe_in is not None:
            self.let_it_fail(probe_in)
        for one in jobs:
            self.enqueue(one)

    @rule(waits=JOBS)
    def enqueue(self, waits: Waits) -> None:
        breaker = BREAKER.name if waits.needs else None
        row = new_job(
            task=waits.task,
            limit_key=waits.key and f"{waits.task}:{waits.key}",
            tenant=waits.tenant,
            breaker=breaker,
            priority=waits.priority,
            queue=QUEUE,
            id=uuid7(),
        )
        enqueue.insert(row)
        self.jobs[row.id] = waits

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def read_messages(self, data: Any) -> None:
        read = data.draw(st.lists(st.sampled_from(sorted(self.jobs)), min_size=1, max_size=5, unique=True))
        self.claim(read)

    @rule(room=st.integers(1, 5))
    def look(self, room: int) -> None:
        before = self.breaker()
        leases = [uuid.uuid4().hex for _ in range(room)]
        self.take(self.breakers.claim_held(leases, WORKER), room, before)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def end(self, data: Any, verdict: Verdict) -> None:
        self.ended(self.running[data.draw(st.sampled_from(sorted(self.running)))], verdict)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        waits = job_id not in self.running and job_id not in self.over
        assert len(operate.cancel([job_id], "not wanted")) == waits
        if waits:
            self.over.add(job_id)

    @rule(of=st.sampled_from(RULES), limit=LIMITS)
    def limit(self, of: Name, limit: Limit) -> None:
        operations.set_limit(*of, rate=limit.rate, burst=limit.burst, concurrency=limit.concurrency, actor="ann")
        kind, name = present(*of)
        self.figures[kind, name] = limit
        for one in [*self.starts]:
            if one == (kind, name) or (kind == Kind.TASK and one[0] == Kind.KEY and one[1].startswith(f"{name}:")):
                del self.starts[one]

    @rule(of=st.sampled_from(RULES))
    def pause(self, of: Name) -> None:
        operations.pause(*of, actor="ann")
        self.paused.add(present(*of))

    @rule(of=st.sampled_from(RULES))
    def resume(self, of: Name) -> None:
        operations.resume(*of, actor="ann")
        self.paused.discard(present(*of))

    @rule(is_open=st.booleans())
    def turn_breaker(self, *, is_open: bool) -> None:
        change = breaker_operations.open_breaker if is_open else breaker_operations.close_breaker
        change(BREAKER.name, actor="ann")

    @rule(probe_in=st.sampled_from([-1, 60]))
    def let_it_fail(self, probe_in: int) -> None:
        if self.breaker().status.state is BreakerState.CLOSED:
            opened(BREAKER.name, probe_in=probe_in)

    @rule()
    def let_time_pass(self) -> None:
        """Be at the moment at which the next probe may run."""
        due = CircuitBreaker.objects.filter(next_probe_at__isnull=False)
        due.update(next_probe_at=Now() - timedelta(seconds=1), probe_sent_at=None)

    @rule()
    def maintain(self) -> None:
        look_after()

    def claim(self, job_ids: Sequence[uuid.UUID]) -> None:
        before = self.breaker()
        asked = {job_id: uuid.uuid4().hex for job_id in job_ids}
        found = claims.claim_many(asked, lease_seconds=60, worker=WORKER.name)
        ruled = {job_id: asked[job_id] for job_id in found.ruled}
        self.take([*found.claimed, *self.breakers.claim(ruled, WORKER).claimed], len(job_ids), before)

    def breaker(self) -> breakers.Standing:
        return breakers.standing([BREAKER.name])[0]

    def take(self, claimed: Sequence[Claimed], most: int, breaker: breakers.Standing) -> None:
        """Compare what was claimed with what might be."""
        assert len(claimed) <= most
        before = {of: self.count(of) for of in self.counted()}
        for one in claimed:
            assert one.id not in self.running
            assert one.id not in self.over
            assert not self.paused & self.jobs[one.id].pauses
            self.running[one.id] = one
        self.check_probe([one for one in claimed if self.jobs[one.id].needs], breaker)
        for of in self.counted():
            if (most_at_once := self.figures_of(of).concurrency) is not None:
                # A limit that was lowered ends nothing.
                assert self.count(of) <= max(most_at_once, before.get(of, 0))
        self.check_starts(claimed)
        assert set(Job.objects.filter(state=State.RUNNING).values_list("pk", flat=True)) == set(self.running)

    def check_probe(self, claimed: Sequence[Claimed], before: breakers.Standing) -> None:
        """Where the breaker is not closed none begins that needs it, but for one that probes when it is time."""
        status = before.status
        if status.state is BreakerState.CLOSED:
            return
        if status.state is BreakerState.OPEN:
            is_due = status.next_probe_at is not None and status.next_probe_at <= before.now
        else:
            # Where the probe is gone the next one may begin.
            is_due = before.probe_lease not in {one.lease_id for one in self.running.values()}
        assert len(claimed) <= is_due
        for one in claimed:
            after = self.breaker()
            assert (after.status.state, after.probe_lease) == (BreakerState.HALF_OPEN, one.lease_id)

    def check_starts(self, claimed: Sequence[Claimed]) -> None:
        """In no time, however short or long, do more begin than the rate of a limit lets."""
        began = dict(Job.objects.filter(pk__in=[one.id for one in claimed]).values_list("pk", "started_at"))
        for one in claimed:
            at = began[one.id]
            assert at is not None
            for of in self.jobs[one.id].limits:
                self.starts[of].append(at.timestamp())
        for of, starts in self.starts.items():
            limit = self.figures_of(of)
            if limit.rate is not None:
                starts.sort()
                for sooner, later in zip(starts, starts[limit.burst :], strict=False):
                    assert later - sooner >= Rate.read(limit.rate).interval - CLOCK

    def figures_of(self, of: Name) -> Limit:
        """Return what holds of a name: of a key its own figures, or else its task's."""
        kind, name = of
        own = self.figures.get(of, Limit())
        if kind == Kind.KEY and own == Limit():
            return self.figures.get((Kind.TASK, name.partition(":")[0]), Limit())
        return own

    def counted(self) -> set[Name]:
        """Return the names by which running jobs are counted."""
        return {of for job_id in self.running for of in self.jobs[job_id].limits}

    def count(self, of: Name) -> int:
        return sum(of in self.jobs[job_id].limits for job_id in self.running)

    def ended(self, one: Claimed, verdict: Verdict) -> None:
        """Record an end, and what it says of the breaker; compare how that stands then."""
        before = self.breaker()
        with transaction.atomic():
            record.record_many([attempts.Ended(one.id, one.lease_id, one.attempt, Succeeded())])
            said = [Said(BREAKER.name, one.lease_id, verdict)] if self.jobs[one.id].needs else []
            written = self.breakers.record(said)
        self.breakers.recorded(written)
        self.over.add(one.id)
        del self.running[one.id]
        if before.status.state is BreakerState.HALF_OPEN and before.probe_lease == one.lease_id:
            becomes = {Verdict.GOOD: BreakerState.CLOSED, Verdict.BAD: BreakerState.OPEN}
            assert self.breaker().status.state is becomes.get(verdict, BreakerState.HALF_OPEN)

    def teardown(self) -> None:
        """Let everything go on: then everything runs, and nothing was held back for ever."""
        self.turn_breaker(is_open=False)
        for of in sorted(self.paused):
            self.resume(of)
        for of in sorted(self.figures):
            self.limit(of, self.figures[of]._replace(rate=None, burst=1))
        for _ in range(2 * len(self.jobs) + 5):
            if self.over == set(self.jobs):
                break
            self.maintain()
            self.claim(list(Job.objects.filter(state=State.QUEUED, held_by=None).values_list("pk", flat=True)))
            self.look(room=5)
            for one in list(self.running.values()):
                self.ended(one, Verdict.GOOD)
        assert self.over == set(self.jobs)
        assert not Job.objects.filter(state=State.QUEUED).exists()


@pytest.mark.django_db
@pytest.mark.timeout(300)
def test_flow_keeps_to_every_rule_and_holds_nothing_back_for_ever() -> None:
    run_state_machine_as_test(
        Flow,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
