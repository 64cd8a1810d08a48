"""A row named by its id is found by its id, however wrong PostgreSQL's idea of the table is."""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from jobs.core.held_by import HeldBy
from jobs.flow.breakers import look_after
from jobs.flow.claim import Worker, claim_from_lines
from jobs.flow.turns import in_turn
from jobs.ledger import attempts, batches, breakers, fetch, leases, lines, maintain, operate
from jobs.ledger.work import find_work
from jobs.models import FlowRule, Job, Queue
from jobs.worker.database import of_the_engine
from tests.jobs import verbs
from tests.jobs.rows import ERROR, LEASE, claimed, written

pytestmark = [pytest.mark.django_db, pytest.mark.postgres_only]

#: The indexes of rows in a state.
PARTIAL = ("jobs_job_due", "jobs_job_queued", "jobs_job_waiting", "jobs_job_leases")


@pytest.fixture
def believed_idle() -> None:
    """Let PostgreSQL believe that all jobs have ended, then have some wait and some run."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, finished_at)"
            " SELECT gen_random_uuid(), 'task', 'default', 'succeeded', '[]', '{}', now() FROM generate_series(1, 3000)"
        )
    analyze()
    for number in range(5):
        written()
        claimed(lease_id=f"{number}" * 32)


def scans() -> dict[str, int]:
    """Return how often this transaction has looked into each of the partial indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_stat_get_xact_numscans(oid) FROM pg_class WHERE relname = ANY(%s)", [list(PARTIAL)]
        )
        return dict(cursor.fetchall())


def claim(job_id: uuid.UUID) -> object:
    return verbs.claim(job_id, lease_id=LEASE, lease_seconds=60, worker="worker@test")


QUEUED: dict[str, Callable[[uuid.UUID], object]] = {
    "claim": claim,
    "give_up_queued": lambda job_id: attempts.give_up_queued(job_id, ERROR),
    "mark_dispatched": lambda job_id: maintain.mark_dispatched([job_id]),
    "redispatch": lambda job_id: maintain.redispatch([job_id]),
    "release": lambda job_id: fetch.release(connection, [job_id]),
    "cancel": lambda job_id: operate.cancel([job_id], "not wanted"),
}
RUNNING: dict[str, Callable[[uuid.UUID], object]] = {
    "succeed": lambda job_id: verbs.succeed(job_id, LEASE),
    "held": lambda job_id: leases.held(job_id, LEASE),
    "retry": lambda job_id: verbs.retry(job_id, LEASE, 1, ERROR),
    "snooze": lambda job_id: verbs.snooze(job_id, LEASE, 1, "later"),
    "ask_to_cancel": lambda job_id: operate.ask_to_cancel([job_id]),
}


@pytest.mark.usefixtures("believed_idle")
@pytest.mark.parametrize("verb", QUEUED)
def test_a_queued_job_is_found_by_its_id(verb: str) -> None:
    job = written()
    before = scans()
    QUEUED[verb](job.id)
    assert scans() == before


@pytest.mark.usefixtures("believed_idle")
@pytest.mark.parametrize("verb", RUNNING)
def test_a_running_job_is_found_by_its_id(verb: str) -> None:
    job = claimed(lease_id=LEASE)
    before = scans()
    RUNNING[verb](job.id)
    assert scans() == before


@pytest.mark.usefixtures("believed_idle")
def test_the_count_would_show_it() -> None:
    before = scans()
    Job.objects.filter(state="queued", dispatched_at=None).order_by("queue", "-priority", "run_at", "id").first()
    assert scans() != before


# --- What many rows cost --------------------------------------------------------------------------

#: More than is ever taken at once.
MANY = 20_000


def analyze() -> None:
    """Have PostgreSQL look at the table."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_job")


def forget_statistics() -> None:
    """Leave PostgreSQL without an idea of the table, as before autovacuum has come to it."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'jobs_job'::regclass")


@pytest.fixture
def full() -> str:
    """Let many jobs of one task wait, dispatched one after the other, and some run that were dispatched before them.

    Returns their queue: a new one, since rows that were rolled back stay in the indexes.
    """
    queue = f"full-{uuid.uuid4()}"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, dispatched_at, run_at)"
            " SELECT gen_random_uuid(), 'batch', %s, 'queued', '[]', '{}',"
            " now() - interval '1 hour' + number * interval '1 ms', now() + number * interval '1 ms'"
            " FROM generate_series(1, %s) AS number",
            [queue, MANY],
        )
        cursor.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, dispatched_at, lease_id, lease_expires_at)"
            " SELECT gen_random_uuid(), 'batch', %s, 'running', '[]', '{}', now() - interval '2 hours',"
            " md5(number::text), now() + interval '1 hour' FROM generate_series(1, 50) AS number",
            [queue],
        )
    analyze()
    return queue


def rows_read() -> int:
    """Return how many entries this transaction has read from the table and its indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class"
            " WHERE oid = 'jobs_job'::regclass OR oid IN"
            " (SELECT indexrelid FROM pg_index WHERE indrelid = 'jobs_job'::regclass)"
        )
        return int(cursor.fetchone()[0])


def test_a_batch_is_claimed_without_reading_all_that_waits(full: str) -> None:
    before = rows_read()
    found = batches.claim_waiting(
        "batch", full, [f"{number:032}" for number in range(10)], lease_seconds=60, worker="w"
    )
    assert len(found) == 10
    assert rows_read() - before < MANY / 10


def test_where_nothing_was_overtaken_nothing_that_waits_is_read(full: str) -> None:
    before = rows_read()
    assert maintain.take_overtaken(full, 30, 500) == []
    assert rows_read() - before < MANY / 10


def test_what_was_overtaken_is_found_among_many(full: str) -> None:
    Job.objects.filter(state="running").update(priority=4)
    first = Job.objects.filter(queue=full, state="queued").order_by("dispatched_at").first()
    assert first is not None
    assert first.dispatched_at is not None
    overtaker = Job.objects.filter(state="running").latest("lease_id")
    Job.objects.filter(pk=overtaker.pk).update(dispatched_at=first.dispatched_at + timedelta(seconds=60))
    assert [found.id for found in maintain.take_overtaken(full, 60, 500)] == [first.pk]


@pytest.mark.parametrize("is_analyzed", [True, False])
def test_whose_turn_it_is_is_found_by_one_step_in_the_index_for_each_tenant(is_analyzed: bool) -> None:
    queue, tenants = f"turns-{uuid.uuid4()}", 100
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, tenant, run_at)"
            " SELECT gen_random_uuid(), 'task', %s, 'queued', '[]', '{}', number %% %s,"
            " now() + number * interval '1 ms' FROM generate_series(1, %s) AS number",
            [queue, tenants, MANY],
        )
    if is_analyzed:
        analyze()
    else:
        forget_statistics()
    before = rows_read()
    assert len(in_turn(queue, 10) or []) == 10
    assert rows_read() - before < MANY / 10


@pytest.mark.parametrize("is_analyzed", [True, False])
def test_whose_turn_it_is_in_line_is_found_so_too(is_analyzed: bool) -> None:
    rule, queue = FlowRule.objects.create(kind="task", name="task", has_line=True), f"turns-{uuid.uuid4()}"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, tenant, run_at, held_by, held_rule)"
            " SELECT gen_random_uuid(), 'task', %s, 'queued', '[]', '{}', number %% 100,"
            " now() + number * interval '1 ms', 'limit', %s FROM generate_series(1, %s) AS number",
            [queue, rule.pk, MANY],
        )
    if is_analyzed:
        analyze()
    else:
        forget_statistics()
    before = rows_read()
    assert len(claim_from_lines([f"{number:032}" for number in range(10)], Worker("w@test", [queue], 60.0))) == 10
    assert rows_read() - before < MANY / 10


def look_at(job_ids: Sequence[uuid.UUID]) -> None:
    """Do with jobs named by their ids what a claim does."""
    lines.asked(job_ids)
    breakers.left(job_ids)
    breakers.hold(job_ids)
    lines.let_fetch(lines.asked(job_ids))
    lines.hold(dict.fromkeys(job_ids, 7), ())


def test_a_plan_of_the_engine_made_for_a_small_table_reads_no_large_one() -> None:
    def read() -> int:
        of_the_engine()
        with transaction.atomic():
            with connection.cursor() as cursor:
                # As new: other tests have left pages in it.
                cursor.execute("TRUNCATE jobs_job CASCADE")
            asked = [written(tenant="a").pk for _ in range(3)]
            # The plans are kept from then on.
            for _ in range(8):
                look_at(asked)
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, tenant) SELECT gen_random_uuid(),"
                    " 'task', 'default', 'queued', '[]', '{}', 'a' FROM generate_series(1, %s)",
                    [MANY],
                )
            before = rows_read()
            look_at(asked)
            found = rows_read() - before
            transaction.set_rollback(True)
        connection.close()
        return found

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(read).result() < MANY / 10


# --- What concerns others -------------------------------------------------------------------------

#: What is done all the time, whoever waits for what.
BESIDE: dict[str, Callable[[str], object]] = {
    "fetch": lambda queue: fetch.fetch_jobs(connection, [queue], 10),
    "claim_waiting": lambda queue: batches.claim_waiting("batch", queue, [LEASE], lease_seconds=60, worker="w@test"),
    "take_undispatched": lambda _: maintain.take_undispatched(0, 10),
    "find_work": lambda _: find_work(0, []),
    "suspect_queues": lambda _: maintain.suspect_queues(30),
    "take_suspects": lambda queue: maintain.take_suspects(queue, 30, 10),
    "redispatch": lambda _: fetch.redispatch(30, 10),
    "look_after_breakers": lambda _: look_after(),
}


def let_many_wait(queue: str) -> None:
    """Let many jobs be held back, for each reason as many, others wait in a paused queue, and others have a message."""
    paused, busy = f"paused-{queue}", f"busy-{queue}"
    Queue.objects.create(name=paused, paused_at=timezone.now())
    held = [(queue, held_by, None, MANY // 3 // len(HeldBy)) for held_by in HeldBy]
    others = [(paused, None, None, MANY // 3), (busy, None, timezone.now(), MANY // 3)]
    with connection.cursor() as cursor:
        for name, held_by, dispatched_at, number in (*held, *others):
            cursor.execute(
                "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, run_at, held_by, dispatched_at, breaker,"
                " held_rule) SELECT gen_random_uuid(), 'batch', %s, 'queued', '[]', '{}', now() - interval '1 day',"
                " %s, %s, 'x', 7 FROM generate_series(1, %s)",
                [name, held_by, dispatched_at, number],
            )


def costs(queue: str) -> dict[str, int]:
    """Return how many entries each reads where one more job waits for nothing."""
    found = {}
    for name, act in BESIDE.items():
        written(task="batch", queue=queue)
        before = rows_read()
        act(queue)
        found[name] = rows_read() - before
    return found


@pytest.mark.parametrize("believed", ["as it is", "idle", "unknown"])
def test_what_does_not_concern_it_is_read_by_nobody(believed: str, request: pytest.FixtureRequest) -> None:
    queue = f"one-{uuid.uuid4()}"
    if believed == "idle":
        request.getfixturevalue("believed_idle")
    # Whatever other tests have rolled back is still in the indexes.
    alone = costs(queue)
    let_many_wait(queue)
    if believed == "as it is":
        analyze()
    elif believed == "unknown":
        forget_statistics()
    more = {name: read - alone[name] for name, read in costs(queue).items()}
    assert {name: read for name, read in more.items() if read >= MANY / 10} == {}
