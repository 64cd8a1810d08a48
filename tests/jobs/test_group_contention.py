"""Many record members of one group at once: each is counted once, and what follows is enqueued once."""

import pytest
from celery import chord, current_app

from jobs import new_group
from jobs.core import outcome as outcomes
from jobs.core.outcome import Reason
from jobs.core.states import State
from jobs.ledger import claims
from jobs.ledger.attempts import Failure
from jobs.models import Job, JobGroup
from jobs.operations import actions, dead_letter_actions
from jobs.operations.filters import DeadLetterFilter, JobFilter
from jobs.tasks.calls import JobResult
from jobs.worker.deliveries import new_lease
from jobs.worker.recorder import End, Recorder
from jobs.worker.reports import SUCCEEDED, Report
from jobs.worker.reserved import ReservedJob
from tests.jobs import verbs
from tests.jobs.letters import dead_letter
from tests.jobs.locks import elsewhere
from tests.jobs.races import at_once
from tests.jobs.rows import claim_as
from tests.servers import Valkey
from tests.tasks_app.canvas import listed, number, told

pytestmark = pytest.mark.django_db(transaction=True)

MEMBERS, WORKERS = 120, 6


def ends_of(jobs: list[Job], failing: int = -1) -> list[End]:
    """Claim these jobs, and return how they end: the one with this number dies."""
    wanted = {job.pk: new_lease() for job in jobs}
    found = claims.claim_many(wanted, lease_seconds=60, worker="worker@test").claimed
    ends = []
    for taken in found:
        [value] = Job.objects.get(pk=taken.id).args
        reserved = ReservedJob(taken, number, "worker@test")
        report = Report(taken.lease_id, SUCCEEDED, None, None, str(value), 0.0, "")
        if value == failing:
            dead, why = outcomes.Dead(Reason.PERMANENT), Failure("Permanent", "it fails")
            ends.append(
                End(reserved, dead, why, Report(taken.lease_id, dead, why, None, None, 0.0, ""), is_parked=True)
            )
        else:
            ends.append(End(reserved, SUCCEEDED, None, report))
    return ends


def record(ends: list[End]) -> None:
    recorder = Recorder(current_app._get_current_object(), lambda *_: None)
    left = ends
    while left:
        left = recorder.write(left)


@pytest.mark.parametrize("failing", [-1, 77])
def test_workers_that_record_members_of_one_group_at_once_count_each_once(failing: int) -> None:
    result = chord([number.s(value) for value in range(MEMBERS)])(listed.s().on_error(told.s()))
    jobs = list(Job.objects.order_by("group_index"))
    shares = [ends_of(jobs[worker::WORKERS], failing) for worker in range(WORKERS)]

    def write(worker: int) -> None:
        # A few at a time, so that they meet often.
        ends = shares[worker]
        for at in range(0, len(ends), 3):
            record(ends[at : at + 3])

    at_once(write, WORKERS)
    group = JobGroup.objects.get()
    assert (group.succeeded + group.dead, group.dead) == (MEMBERS, int(failing >= 0))
    followers = list(Job.objects.filter(group_id=None))
    assert [job.task for job in followers] == [told.name if failing >= 0 else listed.name]
    expected = [result.id] if failing >= 0 else [list(range(MEMBERS))]
    assert followers[0].args == expected


@pytest.mark.postgres_only
def test_a_group_whose_row_is_locked_holds_up_only_its_members() -> None:
    chord([number.s(1), number.s(2)])(listed.s())
    other = number.delay(3).job
    ends = ends_of(list(Job.objects.order_by("group_index", "pk")))
    recorder = Recorder(current_app._get_current_object(), lambda *_: None)
    with elsewhere() as somebody:
        somebody.execute("SELECT 1 FROM jobs_group FOR UPDATE")
        left = recorder.write(ends)
        assert len(left) == 2
        other.refresh_from_db()
        assert other.state == State.SUCCEEDED
    while left:
        left = recorder.write(left)
    assert JobGroup.objects.get().succeeded == 2


@pytest.mark.postgres_only
def test_who_asks_for_members_of_a_locked_group_is_told_and_has_the_other_jobs_changed(valkey: Valkey) -> None:
    with new_group(listed.s()) as group:
        members = number.delay_many([(1,), (2,)], group_id=group.id)
    waits, dead = (result.job for result in members)
    lease = new_lease()
    claim_as(dead, lease)
    verbs.die(dead.pk, lease, Failure("Permanent", "it fails"))
    other = number.delay(3).job
    letter = dead_letter(job_id=dead.pk)
    jobs, letters = JobFilter(ids=(waits.pk, other.pk)), DeadLetterFilter(ids=(letter.pk,))
    with elsewhere() as somebody:
        somebody.execute("SELECT 1 FROM jobs_group FOR UPDATE")
        cancelled = actions.cancel_jobs(jobs, actor="ann")
        replayed = dead_letter_actions.replay(letters, actor="ann")
        JobResult(str(waits.pk), app=current_app).revoke()
    assert (cancelled.changed, [refusal.id for refusal in cancelled.refused]) == (1, [waits.pk])
    assert (replayed.changed, [refusal.id for refusal in replayed.refused]) == (0, [letter.pk])
    assert actions.cancel_jobs(jobs, actor="ann").changed == 1
