"""Those who wait for the end of a job, and are told of it. PostgreSQL: whoever waits on SQLite looks by himself."""

import uuid
from collections.abc import Iterable
from typing import Any

from jobs.ledger.notify import RELAXED, rows

#: PostgreSQL's notification channel. The payload is the job's id.
CHANNEL = "jobs_ended"

#: Rows of processes that were killed stay, and are of no use after so long, in seconds.
KEPT_SECONDS = 86_400

#: An expression about a row of `jobs_job`: it tells those who wait for the job, when its transaction commits.
TELL = f"(SELECT count(pg_notify('{CHANNEL}', job_id::text)) FROM jobs_waiter WHERE job_id = jobs_job.id)"


def listen(database: Any) -> None:
    """Have this connection to PostgreSQL hear of the ends of jobs that somebody waits for."""
    rows(database, f"LISTEN {CHANNEL}")
    rows(
        database,
        f"DELETE FROM jobs_waiter WHERE created_at < statement_timestamp() - make_interval(secs => {KEPT_SECONDS})",
    )


def register(database: Any, job_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Note that somebody waits for these jobs. Returns the id of each note. Not worth waiting for the disk."""
    found = rows(
        database,
        "WITH noted AS (INSERT INTO jobs_waiter (job_id) SELECT unnest(%s::uuid[]) RETURNING job_id, id)"
        f" SELECT job_id, id, {RELAXED} FROM noted",
        [list(job_ids)],
    )
    return {job_id: note for job_id, note, _ in found}


def withdraw(database: Any, notes: Iterable[int]) -> None:
    """Delete such notes: nobody waits any more."""
    rows(
        database,
        f"WITH gone AS (DELETE FROM jobs_waiter WHERE id = ANY(%s) RETURNING id) SELECT {RELAXED} FROM gone",
        [list(notes)],
    )
