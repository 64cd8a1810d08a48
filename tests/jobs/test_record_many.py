"""A worker's parent process records ends together: to each job happens what would happen to it alone."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given, settings, strategies as st

from jobs.core import outcome as outcomes
from jobs.core.held_by import HeldBy
from jobs.core.outcome import Outcome, Reason
from jobs.core.retry import TOO_LONG
from jobs.core.states import State
from jobs.ledger import attempts, operate
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.record import Records, record_many
from jobs.models import Attempt, Job
from jobs.models.tally import Tally
from tests.jobs import verbs
from tests.jobs.locks import elsewhere, holding, never_waiting
from tests.jobs.races import at_once
from tests.jobs.rows import ERROR, LEASE, OTHER_LEASE, claimed, content, written

pytestmark = pytest.mark.django_db

OUTCOMES: dict[str, Outcome] = {
    "succeeded": outcomes.Succeeded(),
    "retry": outcomes.RetryIn(60),
    "dead": outcomes.Dead(Reason.EXHAUSTED),
    "snoozed": outcomes.Snoozed(60),
    "cancelled": outcomes.Cancelled(),
    "released": outcomes.Released(),
    "held back": outcomes.HeldBack(HeldBy.INVALID),
}
GOES_ON = ["retry", "snoozed", "released", "held back"]
every_outcome = pytest.mark.parametrize("name", OUTCOMES)


def run(**changes: Any) -> Job:
    """Return a running job with a lease of its own."""
    return claimed(uuid.uuid4().hex, **changes)


def end_of(job: Job, outcome: Outcome, failure: Failure = ERROR, **changes: Any) -> Ended:
    values = {"id": job.pk, "lease_id": job.lease_id, "attempt": job.attempt, "outcome": outcome, **changes}
    return Ended(**values, failure=None if isinstance(outcome, outcomes.Succeeded) else failure)


def alone(end: Ended) -> Outcome | None:
    """Record an end by the verb for a single job."""
    written = False
    job_id, lease, failure = end.id, end.lease_id, end.failure or ERROR
    match end.outcome:
        case outcomes.Succeeded():
            written = verbs.succeed(job_id, lease)
        case outcomes.RetryIn(delay):
            written = verbs.retry(job_id, lease, delay, failure, lost_worker=end.lost_worker)
        case outcomes.Dead():
            written = verbs.die(job_id, lease, failure, lost_worker=end.lost_worker)
        case outcomes.Snoozed(delay):
            written = verbs.snooze(job_id, lease, delay, failure.summary)
        case outcomes.Cancelled():
            written = verbs.cancel(job_id, lease, failure)
        case outcomes.Released():
            written = verbs.release(job_id, lease, failure)
        case outcomes.HeldBack(by):
            written = verbs.hold(job_id, lease, by, failure)
    if not written:
        return None
    return outcomes.Cancelled() if Job.objects.filter(pk=job_id, state=State.CANCELLED).exists() else end.outcome


# --- To each happens what would happen to it alone --------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A running job, and how it ends."""

    outcome: Outcome
    failure: Failure
    lost_worker: bool
    holds_lease: bool
    was_asked_to_cancel: bool
    was_held_before: bool
    attempts_before: int

    def twin(self, queue: str) -> Ended:
        """Write such a job into a queue and return its end."""
        lease = uuid.uuid4().hex
        job = written(queue=queue, priority=3)
        rows = Job.objects.filter(pk=job.pk)
        rows.update(attempt=self.attempts_before, attempt_base=self.attempts_before // 2, unique_key=f"{job.pk}")
        if self.was_held_before:
            rows.update(held_since=job.created_at)
        assert verbs.claim(job.pk, lease_id=lease, lease_seconds=60, worker="worker@test")
        if self.was_asked_to_cancel:
            assert operate.ask_to_cancel([job.pk])
        job.refresh_from_db()
        changes = {} if self.holds_lease else {"lease_id": OTHER_LEASE}
        lost = self.lost_worker and isinstance(self.outcome, (outcomes.RetryIn, outcomes.Dead))
        return end_of(job, self.outcome, self.failure, lost_worker=lost, **changes)


texts = st.text(st.characters(), max_size=30) | st.sampled_from(["%s {}", "'; --", "a\x00b", "\udc80", "m" * 3000])
delays = st.sampled_from([0.0, 0.25, 60.0, 3600.0])
cases = st.builds(
    Case,
    outcome=st.one_of(
        st.sampled_from(list(OUTCOMES.values())),
        st.builds(outcomes.RetryIn, delays),
        st.builds(outcomes.Snoozed, delays),
    ),
    failure=st.builds(Failure, st.text("Eab.", min_size=1, max_size=250), texts, texts),
    lost_worker=st.booleans(),
    holds_lease=st.sampled_from([True, True, True, False]),
    was_asked_to_cancel=st.sampled_from([False, False, True]),
    was_held_before=st.booleans(),
    attempts_before=st.integers(0, 3),
)


def comparable(job_id: uuid.UUID) -> dict[str, Any]:
    """Return all that the ledger holds of a job, its times as seconds since its last change."""
    row = content(Job.objects.get(pk=job_id))
    row["attempts"] = [{**kept, "id": None, "job_id": None} for kept in row["attempts"]]
    changed_at = row["changed_at"]
    for values in (row, *row["attempts"]):
        for name, value in values.items():
            if isinstance(value, datetime):
                values[name] = round((value - changed_at).total_seconds() / 30)
    is_running = row["state"] == State.RUNNING
    return row | {"id": None, "queue": None, "lease_id": is_running}


@settings(max_examples=60)
@given(several=st.lists(cases, max_size=8))
def test_to_each_of_many_happens_what_would_happen_to_it_alone(several: list[Case]) -> None:
    Tally.objects.all().delete()
    together = [case.twin("together") for case in several]
    singly = [case.twin("singly") for case in several]
    records = record_many(together)
    became = [alone(end) for end in singly]
    assert [records.became.get(end.id) for end in together] == became
    assert records.lost == {end.id for end, outcome in zip(together, became, strict=True) if outcome is None}
    assert (records.locked, records.already) == (set(), set())
    for one, other in zip(together, singly, strict=True):
        assert comparable(one.id) == comparable(other.id)
    counts = [list(Tally.objects.filter(queue=queue).values_list("metric", "task", "count", "outcome"))
              for queue in ("together", "singly")]  # fmt: skip
    assert counts[0] == counts[1]


def test_what_tasks_returned_is_kept_with_their_successes_and_no_other_end() -> None:
    returned, silent, null, late, dead = (run() for _ in range(5))
    good = outcomes.Succeeded()
    records = record_many(
        [
            end_of(returned, good, result='{"a": "\\u00e4"}'),
            end_of(silent, good),
            end_of(null, good, result="null"),
            end_of(late, good, result="7", lease_id=OTHER_LEASE),
            end_of(dead, OUTCOMES["dead"], result="8"),
        ]
    )
    assert records.lost == {late.pk}
    results = [Job.objects.get(pk=job.pk).result for job in (returned, silent, null, late, dead)]
    assert results == [{"a": "ä"}, None, None, None, None]
    kept = Job.objects.filter(result__isnull=False).values_list("pk", flat=True)
    assert set(kept) == {returned.pk, null.pk}


def test_of_nothing_nothing_is_recorded() -> None:
    assert record_many([]) == Records()


def test_snoozes_of_several_tasks_and_queues_are_counted_each() -> None:
    jobs = [run(), run(), run(queue="other"), run(task="another")]
    record_many([end_of(job, outcomes.Snoozed(0)) for job in jobs])
    assert sorted(Tally.objects.values_list("task", "queue", "count")) == [
        ("another", "default", 1),
        ("tests.tasks_app.tasks.noop", "default", 2),
        ("tests.tasks_app.tasks.noop", "other", 1),
    ]
    record_many([end_of(run(), outcomes.Snoozed(0))])
    assert Tally.objects.get(queue="default", task="tests.tasks_app.tasks.noop").count == 3


def test_a_delay_beyond_all_times_keeps_nobody_elses_end_from_being_written() -> None:
    endless, other = run(), run()
    records = record_many([end_of(endless, outcomes.RetryIn(float("inf"))), end_of(other, outcomes.RetryIn(1))])
    assert set(records.became) == {endless.pk, other.pk}
    endless.refresh_from_db()
    assert (endless.run_at - endless.changed_at).total_seconds() == pytest.approx(TOO_LONG, abs=1)


@pytest.mark.parametrize("name", GOES_ON)
def test_who_records_is_told_which_jobs_an_operator_had_cancelled(name: str) -> None:
    asked, free = run(), run()
    operate.ask_to_cancel([asked.pk])
    records = record_many([end_of(job, OUTCOMES[name]) for job in (asked, free)])
    assert records.became == {asked.pk: outcomes.Cancelled(), free.pk: OUTCOMES[name]}


def test_an_end_that_failed_says_how() -> None:
    job = run()
    with pytest.raises(ValueError, match=str(job.pk)):
        record_many([Ended(job.pk, str(job.lease_id), 1, outcomes.RetryIn(1))])
    job.refresh_from_db()
    assert job.state == State.RUNNING


def test_two_ends_of_one_job_are_recorded_one_after_the_other() -> None:
    job = run()
    late = end_of(job, outcomes.Succeeded(), lease_id=OTHER_LEASE)
    with pytest.raises(ValueError, match=str(job.pk)):
        record_many([late, end_of(job, outcomes.Succeeded())])


# --- All or nothing ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_all_is_written_in_the_transaction_of_the_caller() -> None:
    jobs = [run() for _ in OUTCOMES]
    before = [content(job) for job in jobs]
    with transaction.atomic():
        record_many([end_of(job, outcome) for job, outcome in zip(jobs, OUTCOMES.values(), strict=True)])
        transaction.set_rollback(True)
    assert [content(job) for job in jobs] == before
    assert not Tally.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_ends_of_the_same_jobs_at_once_one_counts() -> None:
    jobs = [run() for _ in range(20)]
    found: dict[int, Records] = {}

    def race(number: int) -> None:
        outcome = OUTCOMES["retry"] if number else OUTCOMES["dead"]
        found[number] = record_many([end_of(job, outcome) for job in (jobs if number else reversed(jobs))])

    at_once(race, 2)
    assert set(found[0].became) | set(found[1].became) == {job.pk for job in jobs}
    assert not set(found[0].became) & set(found[1].became)
    assert Attempt.objects.count() == len(jobs)


# --- Leases that were lost, rows that are held ------------------------------------------------------


@every_outcome
def test_an_end_without_the_lease_changes_nothing(name: str) -> None:
    job = run()
    before = content(job)
    missing = uuid.uuid4()
    ends = [end_of(job, OUTCOMES[name], lease_id=OTHER_LEASE), end_of(job, OUTCOMES[name], id=missing)]
    assert record_many(ends) == Records(lost={job.pk, missing})
    assert record_many(ends, again=True) == Records(lost={job.pk, missing})
    assert content(job) == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
@pytest.mark.parametrize("again", [True, False])
@every_outcome
def test_what_somebody_elses_transaction_holds_is_named_and_not_waited_for(name: str, again: bool) -> None:
    held, free, lost = run(), run(), run()
    ends = [end_of(held, OUTCOMES[name]), end_of(free, OUTCOMES[name])]
    ends.append(end_of(lost, OUTCOMES[name], lease_id=OTHER_LEASE))
    before = content(held)
    with never_waiting(), holding(held, lost):
        records = record_many(ends, again=again)
    assert records == Records(became={free.pk: OUTCOMES[name]}, locked={held.pk}, lost={lost.pk})
    assert content(held) == before
    assert record_many(ends[:1]).became == {held.pk: OUTCOMES[name]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
def test_a_reference_from_another_table_holds_nobody_up() -> None:
    job = run()
    with elsewhere() as other, never_waiting():
        other.execute(
            "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error) VALUES (%s, 1, 'x', 'x', 'x')",
            [job.pk],
        )
        assert record_many([end_of(job, outcomes.Dead(Reason.POISON))]).became


# --- Answers that were lost -------------------------------------------------------------------------


@every_outcome
@pytest.mark.parametrize("asked", [True, False])
def test_what_a_try_wrote_whose_answer_was_lost_is_known_and_not_written_twice(name: str, asked: bool) -> None:
    job, other = run(), run()
    if asked:
        operate.ask_to_cancel([job.pk])
    end = end_of(job, OUTCOMES[name])
    became = record_many([end]).became
    before = content(job)
    assert record_many([end]) == Records(lost={job.pk})
    more = end_of(other, OUTCOMES[name])
    assert record_many([end, more], again=True) == Records(became | {other.pk: OUTCOMES[name]}, already={job.pk})
    assert content(job) == before


def run_again(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(state=State.QUEUED, finished_at=None, held_by=None)
    assert verbs.claim(job.pk, lease_id=OTHER_LEASE, lease_seconds=60, worker="other")


@pytest.mark.parametrize("name", ["retry", "released"])
def test_it_is_known_even_where_the_job_runs_again(name: str) -> None:
    job = run()
    end = end_of(job, OUTCOMES[name])
    record_many([end])
    run_again(job)
    assert record_many([end], again=True) == Records({job.pk: OUTCOMES[name]}, already={job.pk})


@pytest.mark.parametrize("name", ["succeeded", "dead", "cancelled"])
def test_it_is_known_even_where_the_job_was_replayed(name: str) -> None:
    job = run()
    end = end_of(job, OUTCOMES[name])
    record_many([end])
    operate.requeue([job.pk])
    assert record_many([end], again=True) == Records({job.pk: OUTCOMES[name]}, already={job.pk})
    run_again(job)
    assert record_many([end], again=True) == Records({job.pk: OUTCOMES[name]}, already={job.pk})


def rescued(job: Job) -> None:
    assert verbs.retry(job.pk, str(job.lease_id), 60, Failure("WorkerLost", "gone"), lost_worker=True)


def set_aside(job: Job) -> None:
    assert verbs.die(job.pk, str(job.lease_id), Failure("WorkerLost", "gone"), lost_worker=True)


@pytest.mark.parametrize("end_otherwise", [rescued, set_aside])
@every_outcome
def test_what_somebody_else_wrote_meanwhile_is_not_taken_for_it(
    name: str, end_otherwise: Callable[[Job], None]
) -> None:
    job = run()
    end = end_of(job, OUTCOMES[name])
    end_otherwise(job)
    attempts.refuse(job.pk, job.attempt, "worker@test", ERROR)
    assert record_many([end], again=True) == Records(lost={job.pk})


@every_outcome
def test_another_attempts_end_is_not_taken_for_it(name: str) -> None:
    job = run()
    record_many([end_of(job, OUTCOMES["retry"])])
    run_again(job)
    second = end_of(job, OUTCOMES[name], attempt=2, lease_id=LEASE)
    assert record_many([second], again=True) == Records(lost={job.pk})
