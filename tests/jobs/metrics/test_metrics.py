"""`/metrics`: right however often rows change and are forgotten, and closed by default."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind
from jobs.core.states import State
from jobs.ledger import attempts
from jobs.models import Attempt, FlowRule, Job, Queue, TallyMark
from jobs.operations import tokens
from jobs.reports.tallies import BOUNDS, count_on, tallies
from tests.jobs import verbs
from tests.jobs.breaker_rows import DEPENDENCY, opened
from tests.jobs.letters import NOOP, dead_letter
from tests.jobs.people import logged_in, person
from tests.jobs.races import at_once
from tests.jobs.rows import LEASE, claimed, in_state, waiting, written
from tests.jobs.worker_rows import worker
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timedelta(0)


@pytest.fixture
def counting() -> None:
    """Begin to count a minute ago."""
    TallyMark.objects.create(until=timezone.now() - timedelta(minutes=1))


def scrape() -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return every sample by its name, once everything has been counted."""
    count_on(NOW)
    response = logged_in(person("view_job", email=f"{uuid.uuid4()}@example.com")).get("/metrics")
    assert response.status_code == 200
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(response.content.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def value(name: str, /, **labels: str) -> float:
    """Return one sample's value, 0 where there is none."""
    matching = [value for had, value in scrape().get(f"nightshift_{name}", []) if labels.items() <= had.items()]
    return sum(matching)


def test_ended_jobs_are_counted_once_however_often_anybody_looks(counting: None) -> None:
    in_state(State.SUCCEEDED)
    in_state(State.SUCCEEDED)
    in_state(State.DEAD)
    for _ in range(2):
        assert value("jobs_finished_total", task=NOOP, queue="default", state="succeeded") == 2
        assert value("jobs_finished_total", state="dead") == 1
    in_state(State.SUCCEEDED)
    assert value("jobs_finished_total", state="succeeded") == 3


def test_counts_do_not_fall_when_rows_are_forgotten(counting: None) -> None:
    in_state(State.SUCCEEDED)
    in_state(State.RETRYING)
    scrape()
    Job.objects.all().delete()
    assert value("jobs_finished_total", state="succeeded") == 1
    assert value("retries_total") == 1


def test_counting_begins_at_the_first_look() -> None:
    in_state(State.SUCCEEDED)
    Job.objects.update(changed_at=F("changed_at") - timedelta(hours=1))
    assert value("jobs_finished_total") == 0


def test_the_last_moments_are_left_for_the_next_look(counting: None) -> None:
    in_state(State.SUCCEEDED)
    assert tallies() == []
    assert value("jobs_finished_total") == 1


def test_after_a_long_time_the_looks_catch_up() -> None:
    TallyMark.objects.create(until=timezone.now() - timedelta(hours=5, minutes=30))
    in_state(State.SUCCEEDED)
    looks = [sum(row.count for row in tallies(NOW) if row.metric == "finished") for _ in range(6)]
    assert looks == [0, 0, 0, 0, 0, 1]


def test_durations_and_waits_fall_into_buckets(counting: None) -> None:
    for wait, took in ((0.2, 0.02), (3.0, 0.02), (45.0, 20.0)):
        job = in_state(State.SUCCEEDED)
        began = job.finished_at - timedelta(seconds=took)  # type: ignore[operator]
        Job.objects.filter(pk=job.pk).update(started_at=began, run_at=began - timedelta(seconds=wait))
    assert value("job_duration_seconds_count", outcome="succeeded") == 3
    assert value("job_duration_seconds_sum", outcome="succeeded") == pytest.approx(20.04, abs=0.01)
    assert value("job_duration_seconds_bucket", le="0.05") == 2
    assert value("job_duration_seconds_bucket", le="30.0") == 3
    assert [value("job_wait_seconds_bucket", le=bound) for bound in ("0.1", "0.25", "5.0", "60.0")] == [0, 1, 2, 3]
    assert value("job_wait_seconds_bucket", le="+Inf") == 3
    assert len(scrape()["nightshift_job_wait_seconds_bucket"]) == len(BOUNDS) + 1


def test_retries_rescues_and_dead_letters_are_counted(counting: None) -> None:
    in_state(State.RETRYING)
    job = claimed()
    lost = attempts.Failure("WorkerLost", "gone")
    assert verbs.retry(job.pk, LEASE, 1, lost, lost_worker=True)
    dead_letter(reason="poison")
    assert value("retries_total") == 2
    assert value("rescues_total") == 1
    assert value("attempts_failed_total", outcome="retrying") == 2
    assert value("dead_letters_total", reason="poison") == 1
    assert value("dead_letters_open", reason="poison") == 1
    assert Attempt.objects.count() == 2


def test_unfinished_jobs_are_counted_as_they_are() -> None:
    for _ in range(3):
        written(queue="tests.other")
    in_state(State.RUNNING)
    waiting()
    assert value("jobs", queue="tests.other", state="queued", task=NOOP) == 3
    assert value("jobs", state="running") == 1
    assert value("jobs", state="scheduled") == 1


def test_queues_say_how_long_their_oldest_job_waits() -> None:
    job = written(queue="tests.other")
    Job.objects.filter(pk=job.pk).update(run_at=F("run_at") - timedelta(seconds=90))
    Queue.objects.create(name="tests.other", paused_at=timezone.now())
    worker(queues=["tests.other"])
    assert value("queue_depth", queue="tests.other") == 1
    assert 90 <= value("queue_oldest_seconds", queue="tests.other") < 120
    assert value("queue_paused", queue="tests.other") == 1
    assert value("queue_workers", queue="tests.other") == 1
    assert value("queue_workers", queue="default") == 0
    assert 90 <= value("outbox_lag_seconds") < 120


def test_what_housekeeping_has_not_moved_shows() -> None:
    assert value("housekeeping_lag_seconds") == 0
    job = waiting()
    Job.objects.filter(pk=job.pk).update(run_at=timezone.now() - timedelta(seconds=40))
    assert 40 <= value("housekeeping_lag_seconds") < 70
    claimed()
    Job.objects.filter(state="running").update(lease_expires_at=timezone.now() - timedelta(seconds=80))
    assert 80 <= value("housekeeping_lag_seconds") < 110


def test_snoozed_jobs_show() -> None:
    waiting()
    job = claimed()
    assert verbs.snooze(job.pk, LEASE, 60, "breaker open")
    assert value("jobs_snoozed") == 1


def test_every_snooze_is_counted_and_one_without_a_lease_is_not() -> None:
    for _ in range(2):
        job = claimed()
        assert verbs.snooze(job.pk, LEASE, 60, "breaker open")
        assert not verbs.snooze(job.pk, LEASE, 60, "breaker open")
    assert value("snoozes_total", task=NOOP, queue="default") == 2
    Job.objects.all().delete()
    assert value("snoozes_total") == 2


def test_workers_show_with_their_connections_and_counters() -> None:
    worker(name="a@test", counters={"resent": 2})
    worker(name="b@test", silent=True)
    worker(name="c@test", stopped_at=timezone.now())
    assert value("worker_up", worker="a@test", host="test", pool="prefork") == 1
    assert {labels["worker"]: up for labels, up in scrape()["nightshift_worker_up"]} == {"a@test": 1, "b@test": 0}
    assert value("worker_seen_seconds", worker="b@test") >= 300
    assert value("worker_running", worker="a@test") == 2
    assert value("worker_memory_bytes", worker="a@test") == 300 * 1024**2
    assert value("worker_connection_up", worker="a@test", connection="broker") == 1
    assert value("worker_reconnects_total", worker="a@test", connection="broker") == 1
    assert value("worker_resent_total", worker="a@test") == 2


def answer(client: Client, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.get("/metrics", headers=headers).status_code


def test_it_is_closed_by_default(settings: Any, valkey: Valkey) -> None:
    settings.METRICS_TOKEN = ""
    assert answer(Client()) == 401
    assert answer(Client(), " ") == 401
    assert answer(logged_in(person())) == 401
    assert answer(Client(), tokens.create("x", ["submit"], by="test")[1]) == 401


def test_a_token_that_may_read_opens_it() -> None:
    assert answer(Client(), tokens.create("x", ["read"], by="test")[1]) == 200


def test_its_own_token_opens_it(settings: Any) -> None:
    settings.METRICS_TOKEN = "four words of it"  # noqa: S105 (a test's own)
    assert answer(Client(), "four words of it") == 200
    assert answer(Client(), "four words of i") == 401


def test_it_speaks_openmetrics_to_who_asks_for_it() -> None:
    client = logged_in(person("view_job"))
    plain = client.get("/metrics")
    assert plain["Content-Type"].startswith("text/plain")
    modern = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert modern["Content-Type"].startswith("application/openmetrics-text")
    assert modern.content.endswith(b"# EOF\n")


def test_looks_at_the_same_moment_count_once(counting: None) -> None:
    for _ in range(5):
        in_state(State.SUCCEEDED)
    at_once(lambda _: count_on(NOW), threads=4)
    assert value("jobs_finished_total") == 5


def test_breakers_tell_whether_they_are_open_what_waits_and_how_often_they_opened() -> None:
    opened(waiting=2)
    for name, shown in (("open", 1), ("waiting", 2), ("openings_total", 1)):
        assert value(f"breaker_{name}", breaker=DEPENDENCY.name) == shown
        assert value(f"breaker_{name}", breaker="search") == 0


def test_limits_tell_what_is_used_and_what_waits_keys_by_task_and_tenants_together() -> None:
    claimed(task=NOOP)
    limits = [
        FlowRule.objects.create(kind=Kind.TASK, name=NOOP, concurrency=3, rate="30/m"),
        FlowRule.objects.create(kind=Kind.KEY, name="mail.send:example.org", concurrency=1),
        FlowRule.objects.create(kind=Kind.KEY, name="mail.send:example.com", concurrency=1),
        FlowRule.objects.create(kind=Kind.TENANT, name="acme", concurrency=1),
    ]
    for rule in limits:
        job = written(task=NOOP)
        Job.objects.filter(pk=job.pk).update(held_by=HeldBy.LIMIT, held_rule=rule.pk, held_since=timezone.now())
    assert value("limit_running", kind="task", name=NOOP) == 1
    assert value("limit_concurrency", kind="task", name=NOOP) == 3
    assert value("limit_rate", kind="task", name=NOOP) == 0.5
    assert value("limit_waiting", kind="task", name=NOOP) == 1
    assert value("limit_waiting", kind="key", name="mail.send") == 2
    assert value("limit_waiting", kind="tenant", name="") == 1
    assert value("jobs_held", queue="default", reason="limit") == 4
    names = {labels["name"] for samples in scrape().values() for labels, _ in samples if "name" in labels}
    assert names == {NOOP, "mail.send", ""}


def test_pauses_tell_how_long_they_last() -> None:
    for kind, name, hours in ((Kind.TASK, NOOP, 1), (Kind.TENANT, "acme", 2), (Kind.TENANT, "globex", 3)):
        FlowRule.objects.create(kind=kind, name=name, paused_at=timezone.now() - timedelta(hours=hours))
    Queue.objects.create(name="default", paused_at=timezone.now() - timedelta(hours=4))
    shown = {(labels["kind"], labels["name"]): seconds for labels, seconds in scrape()["nightshift_paused_seconds"]}
    assert {name: round(seconds / 3600) for name, seconds in shown.items()} == {
        ("task", NOOP): 1,
        ("tenant", ""): 3,
        ("queue", "default"): 4,
    }


def test_tenants_are_counted_by_queue_and_none_is_named() -> None:
    for tenant in ("acme", "acme", "globex"):
        written(tenant=tenant)
    assert value("tenants_waiting", queue="default") == 2
    assert value("tenant_largest_waiting", queue="default") == 2
