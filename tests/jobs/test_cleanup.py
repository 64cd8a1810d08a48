"""`jobs.cleanup`: what is past its time goes in small batches, whatever else fails; nothing that runs or waits does."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.core.states import FINAL, State
from jobs.ledger import prune
from jobs.ledger.prune import Past
from jobs.maintenance import cleanup, retention
from jobs.maintenance.cleanup import CleanupError, clean_up
from jobs.models import ApiToken, Attempt, AttemptLog, DeadLetter, Incident, Job, OperatorAction, Worker
from tests.jobs.rows import in_state

pytestmark = pytest.mark.django_db

DAY = 86_400


def aged(state: State, days: float, *, task: str = "tests.tasks_app.tasks.noop") -> Job:
    """Return a job that came into `state` so long ago."""
    job = in_state(state)
    age = timedelta(days=days)
    Job.objects.filter(pk=job.pk).update(changed_at=F("changed_at") - age, task=task)
    return job


def exists(job: Job) -> bool:
    return Job.objects.filter(pk=job.pk).exists()


# What the ledger forgets


def test_ended_jobs_go_with_their_attempts_after_their_time() -> None:
    old, young = aged(State.CANCELLED, 8), aged(State.CANCELLED, 6)
    assert Attempt.objects.count() == 2
    assert prune.prune_jobs(Past({State.CANCELLED}, 7 * DAY), 10) == 1
    assert (exists(old), exists(young)) == (False, True)
    assert Attempt.objects.count() == 1


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_what_has_not_ended_is_never_forgotten(state: State) -> None:
    job = aged(state, 1_000)
    cleanup.clean()
    assert exists(job)
    with pytest.raises(ValueError, match="only jobs that have ended"):
        Past({state}, 0)


def test_dead_jobs_stay_longer_and_their_letters_outlive_them() -> None:
    kept, gone = aged(State.DEAD, 13), aged(State.DEAD, 15)
    letter = DeadLetter.objects.create(
        id=gone.pk,
        job=gone,
        queue="default",
        reason="exhausted",
        failed_at=timezone.now(),
        body=b"",
        headers={},
        properties={},
    )
    assert cleanup.clean()["dead jobs"] == 1
    assert (exists(kept), exists(gone)) == (True, False)
    letter.refresh_from_db()
    assert letter.job is None


def test_tasks_say_themselves_how_long_their_jobs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_own_retentions", lambda: {30.0 * DAY: ["slow.one"], 1.0 * DAY: ["quick.one"]})
    jobs = {
        (task, days): aged(State.SUCCEEDED, days, task=task)
        for task in ("slow.one", "quick.one", "other")
        for days in (2, 8, 31)
    }
    assert retention.prune_jobs(100) == 6
    assert sorted(key for key, job in jobs.items() if exists(job)) == [("other", 2), ("slow.one", 2), ("slow.one", 8)]


def test_a_task_s_own_retention_is_read_from_its_option() -> None:
    assert all(isinstance(seconds, float) for seconds in retention._own_retentions())


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_batch_is_no_larger_than_asked_for(limit: int) -> None:
    for _ in range(3):
        aged(State.SUCCEEDED, 8)
    assert retention.prune_jobs(limit) == limit
    assert Job.objects.count() == 3 - limit


def test_the_oldest_go_first() -> None:
    newer, older = aged(State.SUCCEEDED, 8), aged(State.SUCCEEDED, 9)
    prune.prune_jobs(Past(retention.DONE, 7 * DAY), 1)
    assert (exists(newer), exists(older)) == (True, False)


def test_histories_go_in_time() -> None:
    now = timezone.now()
    for days in (89, 91):
        OperatorAction.objects.create(actor="x", action="retry", target={}, at=now - timedelta(days=days))
    for days in (6, 8):
        Worker.objects.create(
            id=in_state(State.QUEUED).pk,
            name="w",
            host="h",
            pid=1,
            queues=[],
            pool="p",
            concurrency=1,
            seen_at=now - timedelta(days=days),
        )
    deleted = cleanup.clean()
    assert (deleted["operator actions"], deleted["gone workers"]) == (1, 1)


def test_tokens_that_have_ended_go_in_time() -> None:
    now = timezone.now()
    for ended in ("expires_at", "revoked_at"):
        for days in (-1, 89, 91):
            name = f"{ended} {days}"
            ApiToken.objects.create(name=name, digest=name, prefix="x", **{ended: now - timedelta(days=days)})
    ApiToken.objects.create(name="lasting", digest="lasting", prefix="x")
    assert cleanup.clean()["ended API tokens"] == 2
    left = ["expires_at -1", "expires_at 89", "lasting", "revoked_at -1", "revoked_at 89"]
    assert list(ApiToken.objects.values_list("name", flat=True)) == left


# The job


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cleaners but the test's."""
    monkeypatch.setattr(cleanup, "_cleaners", {})


def test_a_cleaner_is_called_until_nothing_is_left(only: None) -> None:
    asked: list[int] = []

    def cleaner(limit: int) -> int:
        asked.append(limit)
        return limit if len(asked) < 3 else 4

    cleanup.register_cleaner("things", cleaner)
    assert cleanup.clean(batch=10) == {"things": 24}
    assert asked == [10, 10, 10]


def test_one_that_fails_keeps_no_other_from_its_work(only: None) -> None:
    cleanup.register_cleaner("a", lambda _: 1 // 0)
    cleanup.register_cleaner("b", lambda _: 2)
    with pytest.raises(CleanupError, match=r"a: ZeroDivisionError: .* Done meanwhile: 0 a, 2 b\."):
        cleanup.clean()


def test_the_job_reports_counts(only: None) -> None:
    cleanup.register_cleaner("things", lambda _: 0)
    assert clean_up() == "0 things"
    assert (clean_up.name, clean_up.queue) == ("jobs.cleanup", "maintenance")


def test_many_rows_take_few_statements_and_short_transactions() -> None:
    for _ in range(25):
        aged(State.SUCCEEDED, 8)
    with CaptureQueriesContext(connection) as queries:
        assert cleanup.clean(batch=10)["ended jobs"] == 25
    statements = [query["sql"] or "" for query in queries]
    deletes = [statement for statement in statements if statement.startswith("DELETE FROM jobs_job ")]
    assert len(deletes) == 3


def test_incidents_are_forgotten_when_they_were_resolved_long_ago() -> None:
    now = timezone.now()
    old, before = now - timedelta(days=91), {"text": "x", "room": "overview", "opened_at": now, "seen_at": now}
    Incident.objects.create(cause="resolved", resolved_at=old, **before)
    Incident.objects.create(cause="lately", resolved_at=now, **before)
    Incident.objects.create(cause="open since", **{**before, "opened_at": old})
    assert retention.prune_incidents(10) == 1
    assert set(Incident.objects.values_list("cause", flat=True)) == {"lately", "open since"}


def test_workers_prune_what_every_job_leaves_after_its_own_time() -> None:
    old, young = aged(State.SUCCEEDED, 8), aged(State.SUCCEEDED, 6)
    dead, lately_dead = aged(State.DEAD, 15), aged(State.DEAD, 13)
    assert retention.prune_a_batch() is False
    assert [exists(job) for job in (old, young, dead, lately_dead)] == [False, True, False, True]


def test_a_full_batch_is_followed_by_another() -> None:
    for _ in range(3):
        aged(State.SUCCEEDED, 8)
    assert retention.prune_a_batch(2) is True
    assert retention.prune_a_batch(2) is False
    assert not Job.objects.exists()


def test_ended_jobs_go_with_what_they_logged() -> None:
    old, young = aged(State.SUCCEEDED, 8), aged(State.SUCCEEDED, 6)
    for job in (old, young):
        AttemptLog.objects.create(job=job, number=1, at=timezone.now(), text="x")
    retention.prune_a_batch()
    assert AttemptLog.objects.get().job == young
