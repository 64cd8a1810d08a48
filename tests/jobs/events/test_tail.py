"""Reading the ledger's changes: each once, in order, those that commit late as well."""

import uuid
from typing import Any

import psycopg
import pytest
from django.db import connection

from jobs.events.tail import NEAR, Tail
from jobs.ledger import attempts, enqueue_once
from jobs.models import Job
from tests.jobs import verbs
from tests.jobs.rows import LEASE, claimed, new_job, next_moment, written

pytestmark = pytest.mark.django_db(transaction=True)


def read(tail: Tail) -> list[tuple[uuid.UUID, str]]:
    return [(change.position.job_id, change.state.value) for piece in tail.read() for change in piece]


def test_what_was_before_is_no_news() -> None:
    written()
    assert read(Tail()) == []


def test_each_change_is_told_once_and_in_order() -> None:
    old = written()
    tail = Tail()
    next_moment()
    new = written()
    next_moment()
    assert verbs.claim(old.pk, lease_id=LEASE, lease_seconds=60, worker="w")
    assert read(tail) == [(new.pk, "queued"), (old.pk, "running")]
    assert read(tail) == []
    next_moment()
    assert verbs.succeed(old.pk, LEASE)
    assert read(tail) == [(old.pk, "succeeded")]
    assert read(tail) == []


def test_what_happened_between_two_reads_is_told_too() -> None:
    tail = Tail()
    job = written()
    next_moment()
    assert verbs.claim(job.pk, lease_id=LEASE, lease_seconds=60, worker="w")
    next_moment()
    verbs.succeed(job.pk, LEASE)
    assert read(tail) == [(job.pk, "queued"), (job.pk, "running"), (job.pk, "succeeded")]


def test_many_come_in_pieces() -> None:
    tail = Tail()
    enqueue_once.write_many([new_job() for _ in range(1100)])
    pieces = list(tail.read())
    assert [len(piece) for piece in pieces] == [500, 500, 100]
    assert len({change.position.job_id for piece in pieces for change in piece}) == 1100


def test_progress_is_a_change() -> None:
    job = claimed()
    tail = Tail()
    next_moment()
    attempts.note_progress(job.pk, LEASE, '{"done": 1, "total": 2, "message": ""}')
    (piece,) = tail.read()
    assert piece[0].body["progress"] == {"done": 1, "total": 2, "message": ""}


@pytest.mark.postgres_only
def test_what_commits_late_is_not_missed() -> None:
    """A transaction writes, others commit and are read, then it commits."""
    tail = Tail()
    with another() as other:
        late = uuid.uuid4()
        other.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs) VALUES (%s, 't', 'q', 'queued', '[]', '{}')",
            [late],
        )
        early = [written().pk for _ in range(3)]
        assert read(tail) == [(pk, "queued") for pk in early]
        early.append(written().pk)
        assert read(tail) == [(early[3], "queued")]
        other.commit()
    assert read(tail) == [(late, "queued")]
    assert read(tail) == []


@pytest.mark.postgres_only
def test_a_slow_writer_does_not_hold_up_what_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    tail = Tail()
    with another() as other:
        late = uuid.uuid4()
        other.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, changed_at)"
            " VALUES (%s, 't', 'q', 'queued', '[]', '{}', statement_timestamp() - interval '3 seconds')",
            [late],
        )
        # As if that transaction had begun three seconds ago.
        monkeypatch.setattr(tail, "_since", Job.objects.values_list("changed_at").first() or tail._since - 1.5 * NEAR)
        fresh = written()
        assert read(tail) == [(fresh.pk, "queued")]
        other.commit()
    monkeypatch.setattr(tail, "_looked_far", tail._looked_far - 2 * NEAR)
    assert read(tail) == [(late, "queued")]


def another() -> psycopg.Connection[Any]:
    """Open another connection to the tests' database."""
    given: dict[str, Any] = connection.get_connection_params()
    return psycopg.connect(dbname=given["dbname"], user=given["user"], host=given["host"], port=given["port"])


def test_a_deleted_job_is_no_change() -> None:
    tail = Tail()
    job = written()
    Job.objects.filter(pk=job.pk).delete()
    assert read(tail) == []
