"""A worker takes a job and records what became of it; without its lease it changes nothing."""

import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.core.states import TRANSITIONS, State
from jobs.ledger import attempts, claims, leases
from jobs.ledger.attempts import Failure
from jobs.ledger.sql import RowLocked
from jobs.models import Job
from tests.jobs import verbs
from tests.jobs.races import at_once
from tests.jobs.rows import ERROR, LEASE, OTHER_LEASE, claimed, content, in_state, written

#: Every way an attempt ends, with the state it leads to.
ENDS: dict[str, tuple[Callable[[uuid.UUID, str], bool], State]] = {
    "succeed": (verbs.succeed, State.SUCCEEDED),
    "retry": (lambda job_id, lease: verbs.retry(job_id, lease, 60, ERROR), State.RETRYING),
    "die": (lambda job_id, lease: verbs.die(job_id, lease, ERROR), State.DEAD),
    "cancel": (lambda job_id, lease: verbs.cancel(job_id, lease, ERROR), State.CANCELLED),
    "snooze": (lambda job_id, lease: verbs.snooze(job_id, lease, 60, "breaker open"), State.SCHEDULED),
    "release": (lambda job_id, lease: verbs.release(job_id, lease, ERROR), State.QUEUED),
}
every_end = pytest.mark.parametrize("end, state", ENDS.values(), ids=list(ENDS))


def claim(job: Job, lease_id: str = LEASE) -> claims.Claimed | None:
    return verbs.claim(job.id, lease_id=lease_id, lease_seconds=60, worker="worker@test")


@pytest.mark.django_db
def test_a_claim_counts_the_attempt_and_takes_the_lease() -> None:
    job = written(max_retries=3)
    found = claim(job)
    assert found is not None
    assert (found.id, found.lease_id, found.task, found.args) == (job.id, LEASE, job.task, "[]")
    assert (found.attempt, found.attempt_base, found.max_retries, found.worker_losses, found.expires_by) == (
        1,
        0,
        3,
        0,
        None,
    )
    job.refresh_from_db()
    assert (job.state, job.attempt, job.lease_id, job.worker) == (State.RUNNING, 1, LEASE, "worker@test")
    assert job.lease_expires_at is not None
    assert job.started_at is not None
    assert job.lease_expires_at - job.started_at == timedelta(seconds=60)
    assert job.dispatched_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize("state", [state for state in State if State.RUNNING not in TRANSITIONS[state]])
def test_only_a_queued_job_can_be_claimed(state: State) -> None:
    job = in_state(state)
    before = content(job)
    assert claim(job, OTHER_LEASE) is None
    assert content(job) == before


@pytest.mark.django_db
def test_nobody_claims_a_job_the_ledger_does_not_know() -> None:
    assert verbs.claim(uuid.uuid4(), lease_id=LEASE, lease_seconds=60, worker="w") is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_", range(5))
def test_of_many_claims_at_once_one_succeeds(_: int) -> None:
    job = written()
    winners: list[str] = []

    def race(number: int) -> None:
        lease = str(number) * 32
        # Its row is locked while another claims it.
        with suppress(RowLocked):
            if claim(job, lease):
                winners.append(lease)

    at_once(race, 6)
    job.refresh_from_db()
    assert winners == [job.lease_id]
    assert job.attempt == 1


@pytest.mark.django_db
def test_a_claim_knows_whether_the_job_has_expired() -> None:
    late = claim(written(expires_at=timezone.now() - timedelta(milliseconds=50)))
    early = claim(written(expires_at=timezone.now() + timedelta(seconds=60)))
    assert late is not None
    assert early is not None
    assert late.seconds_to_begin <= 0
    # SQLite's clock tells milliseconds.
    assert 50 < early.seconds_to_begin < 60.01


@pytest.mark.django_db
def test_what_is_held_is_known_by_its_lease_alone() -> None:
    job = claimed()
    found = leases.held(job.id, LEASE)
    assert found is not None
    assert (found.id, found.attempt, found.max_retries) == (job.id, 1, 5)
    assert leases.held(job.id, OTHER_LEASE) is None
    verbs.succeed(job.id, LEASE)
    assert leases.held(job.id, LEASE) is None


@pytest.mark.django_db
@every_end
def test_an_attempt_ends_in_its_state_and_gives_up_the_lease(
    end: Callable[[uuid.UUID, str], bool], state: State
) -> None:
    job = claimed()
    assert end(job.id, LEASE)
    job.refresh_from_db()
    assert job.state == state
    assert job.lease_id is None
    assert job.lease_expires_at is None
    assert (job.finished_at is not None) == job.is_final


@pytest.mark.django_db
@every_end
def test_an_end_without_the_lease_changes_nothing(end: Callable[[uuid.UUID, str], bool], state: State) -> None:
    job = claimed()
    before = content(job)
    assert not end(job.id, OTHER_LEASE)
    assert not end(uuid.uuid4(), LEASE)
    assert content(job) == before


@pytest.mark.django_db
@every_end
def test_an_attempt_ends_once(end: Callable[[uuid.UUID, str], bool], state: State) -> None:
    job = claimed()
    assert end(job.id, LEASE)
    before = content(job)
    assert not any(again(job.id, LEASE) for again, _ in ENDS.values())
    assert content(job) == before


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["retry", "die", "cancel", "release"])
def test_an_attempt_that_did_not_succeed_keeps_its_error(name: str) -> None:
    end, state = ENDS[name]
    job = claimed()
    end(job.id, LEASE)
    job.refresh_from_db()
    kept = job.attempts.get()
    assert (kept.number, kept.outcome, kept.worker) == (1, state, "worker@test")
    assert (kept.error_type, kept.error, kept.traceback) == (ERROR.type, ERROR.message, ERROR.traceback)
    assert kept.started_at is not None
    assert kept.started_at == job.started_at
    assert kept.finished_at >= kept.started_at
    assert job.last_error == "ValueError: it failed"


@pytest.mark.django_db
def test_success_keeps_no_attempt() -> None:
    job = in_state(State.SUCCEEDED)
    assert (job.attempts.count(), job.last_error, job.attempt) == (0, "", 1)


@pytest.mark.django_db
def test_a_retry_is_due_after_its_delay_and_has_no_message() -> None:
    job = claimed()
    verbs.retry(job.id, LEASE, 60, ERROR)
    job.refresh_from_db()
    assert job.started_at is not None
    assert timedelta(seconds=60) <= job.run_at - job.started_at < timedelta(seconds=90)
    assert (job.dispatched_at, job.attempt, job.worker_losses) == (None, 1, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "end",
    [
        lambda job: verbs.retry(job.id, LEASE, 0, ERROR, lost_worker=True),
        lambda job: verbs.die(job.id, LEASE, ERROR, lost_worker=True),
    ],
    ids=["retry", "die"],
)
def test_a_lost_worker_is_counted(end: Callable[[Job], bool]) -> None:
    job = claimed()
    end(job)
    job.refresh_from_db()
    assert job.worker_losses == 1


@pytest.mark.django_db
def test_a_snooze_gives_the_attempt_back() -> None:
    job = claimed()
    verbs.snooze(job.id, LEASE, 60, "breaker open")
    job.refresh_from_db()
    assert (job.attempt, job.last_error, job.dispatched_at) == (0, "breaker open", None)
    assert job.run_at > timezone.now() + timedelta(seconds=30)
    assert job.attempts.count() == 0


@pytest.mark.django_db
def test_a_released_job_is_due_at_once_and_has_no_message() -> None:
    job = claimed()
    verbs.release(job.id, LEASE, ERROR)
    job.refresh_from_db()
    assert job.run_at <= timezone.now() + timedelta(seconds=1)
    assert (job.dispatched_at, job.attempt) == (None, 1)


@pytest.mark.django_db
def test_a_refused_result_is_kept_beside_the_job_without_touching_it() -> None:
    job = in_state(State.SUCCEEDED)
    before = content(job)
    attempts.refuse(job.id, 1, "slow@test", Failure("Succeeded", "It succeeded."))
    after = content(job)
    kept = after.pop("attempts")[0]
    before.pop("attempts")
    assert after == before
    assert (kept["outcome"], kept["worker"], kept["number"]) == ("refused", "slow@test", 1)


@pytest.mark.django_db
def test_an_error_too_long_is_shortened_where_it_says_least() -> None:
    job = claimed()
    verbs.die(job.id, LEASE, Failure("E" * 300, "m" * 5_000, "old" + "t" * 30_000 + "new"))
    kept = job.attempts.get()
    assert len(kept.error_type) == 200
    assert len(kept.error) == attempts.ERROR_LENGTH
    assert len(kept.traceback) == attempts.TRACEBACK_LENGTH
    assert kept.traceback.endswith("new")
    job.refresh_from_db()
    assert len(job.last_error) == attempts.LAST_ERROR_LENGTH


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["a\x00b", "a\udc80b", "\U0001f600", "%s %(x)s {}", "'; --"])
def test_any_error_text_can_be_kept(text: str) -> None:
    job = claimed()
    assert verbs.die(job.id, LEASE, Failure("ValueError", text, text))
    kept = job.attempts.get()
    assert kept.error.replace("\ufffd", "?") == text.replace("\x00", "?").replace("\udc80", "?")
    snoozed = claimed()
    assert verbs.snooze(snoozed.id, LEASE, 1, text)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_", range(5))
def test_of_two_ends_at_once_one_counts_and_leaves_one_attempt(_: int) -> None:
    job = claimed()
    results: list[bool] = []

    def race(number: int) -> None:
        # Its row is locked while another end is written.
        with suppress(RowLocked):
            if number:
                results.append(verbs.retry(job.id, LEASE, 60, ERROR, lost_worker=True))
            else:
                results.append(verbs.die(job.id, LEASE, ERROR))

    at_once(race, 2)
    assert results.count(True) == 1
    job.refresh_from_db()
    assert [attempt.outcome for attempt in job.attempts.all()] == [job.state]
