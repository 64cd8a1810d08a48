"""Whatever is asked of the ledger, in whatever order: only the allowed happens, and a lost lease changes nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.core.held_by import HeldBy
from jobs.core.outcome import Released
from jobs.core.states import FINAL, INITIAL, TRANSITIONS, WAITING, State
from jobs.ledger import attempts, enqueue_once, hold, leases, maintain, operate
from jobs.ledger.adopt import adopt
from jobs.ledger.dialect import dialect
from jobs.ledger.maintain import Dispatchable
from jobs.ledger.put_back import put_back
from jobs.ledger.sql import changed
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
    st.builds(
        lambda back: lambda job, lease: verbs.end(job, lease, Released(gets_attempt_back=back), ERROR), st.booleans()
    ),
    st.just(lambda job, lease: verbs.hold(job, lease, HeldBy.UNKNOWN_TASK, ERROR)),
)

#: All times of a job that it has here.
TIMES = (
    *("created_at", "changed_at", "run_at", "dispatched_at", "started_at", "finished_at", "held_since"),
    "lease_expires_at",
)


def snapshot() -> dict[Any, dict[str, Any]]:
    """Return all that the ledger holds, by job."""
    rows: dict[Any, dict[str, Any]] = {row["id"]: {**row, "attempts": []} for row in Job.objects.values()}
    for attempt in Attempt.objects.values():
        rows[attempt["job_id"]]["attempts"].append(attempt)
    return rows


class Ledger(RuleBasedStateMachine):
    """Deliveries, workers and maintenance act on a few jobs in any order, most of them too late or not entitled.

    `seen` is what each job looked like after the step before; every step is compared with it. `messages` counts those
    that each job has: in the broker, or fetched by a worker that has decided nothing. `notes` are those of publishers
    still to come: whose message it was about.
    """

    jobs: Bundle[Any] = Bundle("jobs")
    leases: Bundle[Any] = Bundle("leases")

    @initialize()
    def begin(self) -> None:
        Attempt.objects.all().delete()
        Job.objects.all().delete()
        self.seen: dict[Any, dict[str, Any]] = {}
        self.deliveries = 0
        self.messages: Counter[Any] = Counter()
        self.notes: list[Any] = []

    def new_lease(self) -> str:
        self.deliveries += 1
        return f"{self.deliveries:032}"

    def published(self, jobs: Sequence[Dispatchable], *, refused: bool) -> None:
        """Maintenance has taken these jobs, and published them; or the broker has refused that."""
        if refused:
            maintain.redispatch([job.id for job in jobs])
        else:
            self.messages.update(job.id for job in jobs)

    # What happens to the ledger.

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        moved = ", ".join(f"{name} = {dialect().later(name)}" for name in TIMES)
        changed(f"UPDATE jobs_job SET {moved}", [-seconds] * len(TIMES))  # noqa: S608 (names from above)
        self.seen = snapshot()

    @rule(target=jobs, delay=st.none() | delays, sent=st.booleans())
    def enqueue(self, delay: float | None, sent: bool) -> Any:
        job = new_job(delay=delay)
        enqueue_once.write(job)
        if sent and job.state == State.QUEUED:
            self.sends([job.id])
        return job.id

    def sends(self, jobs: Sequence[Any]) -> None:
        """The process that has written these jobs publishes them; on its way the message takes some time."""
        self.messages.update(jobs)
        self.notes += jobs
        self.only_the_allowed_happened()
        self.time_passes(1.0)

    @precondition(lambda self: bool(self.notes))
    @rule(number=st.integers(0, 9))
    def a_note_of_dispatch_arrives(self, number: int) -> None:
        maintain.mark_dispatched([self.notes.pop(number % len(self.notes))])

    @rule(job=jobs)
    def a_worker_lets_a_message_go(self, job: Any) -> None:
        if self.messages[job]:
            self.messages[job] -= 1
            maintain.redispatch([job])

    @rule(target=jobs, delay=st.none() | delays)
    def adopt(self, delay: float | None) -> Any:
        job = new_job(delay=delay)
        assert adopt(job)
        self.seen = snapshot()
        assert not adopt(job)
        self.nothing_changed()
        self.messages[job.id] += job.state == State.QUEUED
        return job.id

    @rule(target=leases, job=jobs, seconds=lease_seconds, by_message=st.booleans())
    def claim(self, job: Any, seconds: float, by_message: bool) -> tuple[Any, str]:
        lease = self.new_lease()
        before = self.seen[job]
        if by_message and self.messages[job]:
            self.messages[job] -= 1
        claimed = verbs.claim(job, lease_id=lease, lease_seconds=seconds, worker="w")
        assert (claimed is not None) == (before["state"] == State.QUEUED and before["held_by"] is None)
        if claimed is None:
            self.nothing_changed()
        else:
            assert claimed.attempt == before["attempt"] + 1
            held = leases.held(job, lease)
            # The database is asked for its clock once more.
            assert held is not None
            assert held._replace(clock=claimed.clock) == claimed
        return job, lease

    @rule(lease=leases, end=ends)
    def end(self, lease: tuple[Any, str], end: End) -> None:
        job, lease_id = lease
        held = self.seen[job]["lease_id"] == lease_id
        assert end(job, lease_id) == held
        if not held:
            self.nothing_changed()

    @rule(job=jobs, gets_attempt_back=st.booleans())
    def a_worker_runs_a_job_for_a_while_and_releases_it(self, job: Any, gets_attempt_back: bool) -> None:
        _, lease = self.claim(job, 3600.0, by_message=True)
        self.only_the_allowed_happened()
        self.time_passes(1.0)
        self.end((job, lease), lambda job, lease: verbs.end(job, lease, Released(gets_attempt_back), ERROR))

    @rule(lease=leases)
    def what_has_not_begun_is_put_back(self, lease: tuple[Any, str]) -> None:
        job, lease_id = lease
        held = self.seen[job]["lease_id"] == lease_id
        assert put_back([lease_id]) == held
        if not held:
            self.nothing_changed()

    @rule(job=jobs)
    def unhold(self, job: Any) -> None:
        before = self.seen[job]
        assert bool(hold.unhold([job])) == (before["state"] == State.QUEUED and before["held_by"] is not None)

    @rule(job=jobs, sent=st.booleans())
    def requeue(self, job: Any, sent: bool) -> None:
        taken = operate.requeue([job])
        assert bool(taken) == (self.seen[job]["state"] in FINAL | WAITING)
        if taken and sent:
            self.sends([job])

    @rule(job=jobs)
    def cancel(self, job: Any) -> None:
        assert len(operate.cancel([job], "not wanted")) == (self.seen[job]["state"] in operate.NOT_BEGUN)

    @rule(lease=leases, seconds=lease_seconds)
    def renew(self, lease: tuple[Any, str], seconds: float) -> None:
        job, lease_id = lease
        leases.renew([lease_id], seconds)
        if self.seen[job]["lease_id"] != lease_id:
            self.nothing_changed()

    @rule(lease=leases)
    def a_late_result_is_refused(self, lease: tuple[Any, str]) -> None:
        job, lease_id = lease
        if self.seen[job]["lease_id"] != lease_id:
            attempts.refuse(job, 1, "w", ERROR)

    @rule(refused=st.booleans())
    def dispatch_due(self, refused: bool) -> None:
        due = maintain.take_due(10)
        assert all(self.seen[taken.id]["state"] in WAITING for taken in due)
        self.published(due, refused=refused)

    @rule(refused=st.booleans())
    def dispatch_undispatched(self, refused: bool) -> None:
        found = maintain.take_undispatched(0, 10)
        for taken in found:
            assert self.seen[taken.id]["state"] == State.QUEUED
            assert self.seen[taken.id]["dispatched_at"] is None
        self.published(found, refused=refused)

    @rule(refused=st.booleans())
    def resend(self, refused: bool) -> None:
        found = maintain.take_suspects("default", 0, 10) + maintain.take_overtaken("default", 0, 10)
        assert all(self.seen[taken.id]["state"] == State.QUEUED for taken in found)
        self.published(found, refused=refused)

    @rule(end=ends)
    def rescue(self, end: End) -> None:
        for lost in leases.overdue(10):
            assert self.seen[lost.id]["lease_id"] == lost.lease_id
            lease = self.new_lease()
            assert leases.take_over(lost, lease, 3600)
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
        counted = after["attempt"] - before["attempt"]
        match state, target:
            case (State.QUEUED, State.RUNNING):
                assert counted == 1
            case (State.RUNNING, State.SCHEDULED):
                assert counted == -1
            case (State.RUNNING, State.QUEUED):
                # Released, put back, or held back: each keeps note of the attempt, or gives it back.
                assert counted == len(after["attempts"]) - len(before["attempts"]) - 1
            case _:
                assert counted == 0
        assert len(after["attempts"]) - len(before["attempts"]) in (0, 1)
        assert after["worker_losses"] in (before["worker_losses"], before["worker_losses"] + 1, 0)
        assert before["created_at"] == after["created_at"]
        is_alike = (state, before["held_by"]) == (target, after["held_by"])
        if is_alike and (before["dispatched_at"], after["dispatched_at"]) != (None, None):
            assert before["changed_at"] == after["changed_at"]
        else:
            assert before["changed_at"] <= after["changed_at"]

    def check_row(self, row: dict[str, Any]) -> None:
        assert (row["lease_id"] is not None) == (row["state"] == State.RUNNING)
        assert (row["finished_at"] is not None) == (row["state"] in FINAL)
        assert row["attempt"] >= 0
        if row["state"] == State.QUEUED and row["held_by"] is None and row["dispatched_at"] is not None:
            # Else it would wait until it is taken for lost, which takes long.
            assert self.messages[row["id"]] > 0

    def nothing_changed(self) -> None:
        assert snapshot() == self.seen


@pytest.mark.django_db
@pytest.mark.timeout(300)
def test_the_ledger_keeps_its_rules_whatever_is_attempted() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(max_examples=30, stateful_step_count=25),
    )
