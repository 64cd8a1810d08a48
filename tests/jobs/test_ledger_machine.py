"""Whatever is asked of the ledger, in whatever order: only the allowed happens, and a lost lease changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from jobs.core.states import FINAL, INITIAL, TRANSITIONS, WAITING, State
from jobs.ledger import attempts, claims, enqueue, maintain
from jobs.models import Attempt, Job
from tests.jobs import verbs
from tests.jobs.rows import ERROR, new_job

#: Now, or far from now; nothing in between, so that no example depends on how long it takes.
delays = st.sampled_from([0.0, 3600.0])
lease_seconds = st.sampled_from([-1.0, 3600.0])
End = Callable[[Any, str], bool]
ends: st.SearchStrategy[End] = st.one_of(
    st.just(verbs.succeed),
    st.builds(
        lambda delay, lost: lambda job, lease: verbs.retry(job, lease, delay, ERROR, lost_worker=lost),
        delays,
        st.booleans(),
    ),
    st.builds(lambda lost: lambda job, lease: verbs.die(job, lease, ERROR, lost_worker=lost), st.booleans()),
    st.builds(lambda delay: lambda job, lease: verbs.snooze(job, lease, delay, "later"), delays),
    st.just(lambda job, lease: verbs.cancel(job, lease, ERROR)),
    st.just(lambda job, lease: verbs.release(job, lease, ERROR)),
)


def snapshot() -> dict[Any, dict[str, Any]]:
    """Return all that the ledger holds, by job."""
    rows: dict[Any, dict[str, Any]] = {row["id"]: {**row, "attempts": []} for row in Job.objects.values()}
    for attempt in Attempt.objects.values():
        rows[attempt["job_id"]]["attempts"].append(attempt)
    return rows


class Ledger(RuleBasedStateMachine):
    """Deliveries, workers and maintenance act on a few jobs in any order, most of them too late or not entitled.

    `seen` is what each job looked like after the step before; every step is compared with it.
    """

    jobs: Bundle[Any] = Bundle("jobs")
    leases: Bundle[Any] = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        Attempt.objects.all().delete()
        Job.objects.all().delete()
        self.seen: dict[Any, dict[str, Any]] = {}
        self.deliveries = 0

    # What happens to the ledger.

    @rule(target=jobs, delay=st.none() | delays)
    def enqueue(self, delay: float | None) -> Any:
        job = new_job(delay=delay)
        enqueue.insert(job)
        return job.id

    @rule(target=jobs, delay=st.none() | delays)
    def adopt(self, delay: float | None) -> Any:
        job = new_job(delay=delay)
        assert enqueue.adopt(job)
        self.seen = snapshot()
        assert not enqueue.adopt(job)
        self.nothing_changed()
        return job.id

    @rule(target=leases, job=jobs, seconds=lease_seconds)
    def claim(self, job: Any, seconds: float) -> tuple[Any, str]:
        self.deliveries += 1
        lease = f"{self.deliveries:032}"
        before = self.seen[job]
        claimed = verbs.claim(job, lease_id=lease, lease_seconds=seconds, worker="w")
        assert (claimed is not None) == (before["state"] == State.QUEUED)
        if claimed is None:
            self.nothing_changed()
        else:
            assert claimed.attempt == before["attempt"] + 1
            assert claims.held(job, lease) == claimed
        return job, lease

    @rule(lease=leases, end=ends)
    def end(self, lease: tuple[Any, str], end: End) -> None:
        job, lease_id = lease
        held = self.seen[job]["lease_id"] == lease_id
        assert end(job, lease_id) == held
        if not held:
            self.nothing_changed()

    @rule(lease=leases, seconds=lease_seconds)
    def renew(self, lease: tuple[Any, str], seconds: float) -> None:
        job, lease_id = lease
        maintain.renew([lease_id], seconds)
        if self.seen[job]["lease_id"] != lease_id:
            self.nothing_changed()

    @rule(lease=leases)
    def a_late_result_is_refused(self, lease: tuple[Any, str]) -> None:
        job, lease_id = lease
        if self.seen[job]["lease_id"] != lease_id:
            attempts.refuse(job, 1, "w", ERROR)

    @rule()
    def dispatch_due(self) -> None:
        for taken in maintain.take_due(10):
            assert self.seen[taken.id]["state"] in WAITING

    @rule()
    def dispatch_undispatched(self) -> None:
        for taken in maintain.take_undispatched(0, 10):
            assert self.seen[taken.id]["state"] == State.QUEUED
            assert self.seen[taken.id]["dispatched_at"] is None

    @rule()
    def resend(self) -> None:
        for taken in maintain.take_suspects("default", 0, 10) + maintain.take_overtaken("default", 0, 10):
            assert self.seen[taken.id]["state"] == State.QUEUED

    @rule(job=jobs, confirmed=st.booleans())
    def the_broker_answers(self, job: Any, confirmed: bool) -> None:
        (maintain.mark_dispatched if confirmed else maintain.redispatch)([job])

    @rule(end=ends)
    def rescue(self, end: End) -> None:
        for lost in maintain.overdue(10):
            assert self.seen[lost.id]["lease_id"] == lost.lease_id
            self.deliveries += 1
            lease = f"{self.deliveries:032}"
            assert maintain.take_over(lost, lease, 3600)
            assert not end(lost.id, lost.lease_id)
            assert end(lost.id, lease)

    # What must be true after each of them.

    @invariant()
    def only_the_allowed_happened(self) -> None:
        now = snapshot()
        for job, after in now.items():
            before = self.seen.get(job)
            if before is None:
                assert after["state"] in INITIAL | {State.RUNNING}
            else:
                self.check_step(before, after)
            self.check_row(after)
        self.seen = now

    def check_step(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        state, target = State(before["state"]), State(after["state"])
        assert state == target or target in TRANSITIONS[state]
        begun = int(target == State.RUNNING != state)
        given_back = int((state, target) == (State.RUNNING, State.SCHEDULED))
        assert after["attempt"] == before["attempt"] + begun - given_back
        assert len(after["attempts"]) - len(before["attempts"]) in (0, 1)
        assert after["worker_losses"] - before["worker_losses"] in (0, 1)
        assert before["created_at"] == after["created_at"]
        if state == target:
            assert before["changed_at"] == after["changed_at"]
        else:
            assert before["changed_at"] <= after["changed_at"]

    def check_row(self, row: dict[str, Any]) -> None:
        assert (row["lease_id"] is not None) == (row["state"] == State.RUNNING)
        assert (row["finished_at"] is not None) == (row["state"] in FINAL)
        assert row["attempt"] >= 0

    def nothing_changed(self) -> None:
        assert snapshot() == self.seen


@pytest.mark.django_db
@pytest.mark.timeout(300)
def test_the_ledger_keeps_its_rules_whatever_is_attempted() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
