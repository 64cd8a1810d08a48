"""Reading the ledger's changes in the order of `changed_at`, without missing what commits late.

A change has the time of its statement and is seen when its transaction commits. So each read looks back to the
beginning of the oldest transaction that was under way before, and leaves out what it has seen.
"""

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from django.db import connection

from jobs.events import passing
from jobs.events.change import Change
from jobs.ledger.dialect import dialect
from jobs.ledger.sql import one, rows
from jobs.models import Job

#: Rows read in full at once.
BATCH = 500

#: How far back each read looks at most, and every so often a read that looks back as far as the horizon goes.
NEAR, FAR_EVERY = timedelta(seconds=2), timedelta(seconds=2)

#: What is no column of an event.
_LEFT_OUT = (
    *("options", "result", "lease_id", "lease_expires_at", "unique_key", "unique_until", "unique_expires_at"),
    *("cancel_requested_at", "expires_at", "deadline_at"),
)

Key = tuple[datetime, uuid.UUID]


class Horizon(Protocol):
    """Knows the time before which no change can appear any more."""

    def now(self) -> tuple[datetime, datetime]:
        """Return the database's time, and the horizon."""


class PostgresHorizon:
    """Asks the server who is writing: a change to come has at least the time of the transaction that makes it.

    One that has no transaction id yet can only be within a statement that is to write; a minute is enough for any
    other. Where we may not see what others do, they are given some seconds.
    """

    STATEMENT = """
        SELECT statement_timestamp(), LEAST(statement_timestamp(), min(CASE
            WHEN backend_xid IS NOT NULL THEN GREATEST(xact_start, statement_timestamp() - interval '60 seconds')
            WHEN state IS NULL OR state = 'active'
                THEN GREATEST(query_start, statement_timestamp() - interval '5 seconds')
            END))
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    """

    def now(self) -> tuple[datetime, datetime]:
        found = one(self.STATEMENT)
        assert found is not None  # noqa: S101  (an aggregate has a row)
        return found[0], found[1] or found[0]


class SqliteHorizon:
    """SQLite has one writer at a time: nothing commits with a time before that of the latest commit."""

    def now(self) -> tuple[datetime, datetime]:
        # A second to spare, for a clock that was set back a little.
        found = one("SELECT max(changed_at) FROM jobs_job")
        latest = _moment(found[0]) if found and found[0] else datetime(1970, 1, 2, tzinfo=UTC)
        return latest, latest - timedelta(seconds=1)


class Tail:
    """The changes since it was begun. Used by one thread."""

    def __init__(self) -> None:
        self._horizon: Horizon = PostgresHorizon() if connection.vendor == "postgresql" else SqliteHorizon()
        self._looked_far, self._since = self._horizon.now()
        # What is committed already is no news, however late it was.
        self._seen = {job_id: at for at, job_id in _keys(self._since)}

    def read(self) -> Iterator[list[Change]]:
        """Return what has changed since the last read, in pieces."""
        # First the horizon, then the rows: what commits in between is seen now or looked for again.
        now, horizon = self._horizon.now()
        # While somebody writes slowly, what is fresh must not wait each time until all that is older is looked at.
        near = now - self._since > NEAR and now - self._looked_far < FAR_EVERY
        fresh = [
            (at, job_id) for at, job_id in _keys(now - NEAR if near else self._since) if self._seen.get(job_id) != at
        ]
        for start in range(0, len(fresh), BATCH):
            yield self._changes([job_id for _, job_id in fresh[start : start + BATCH]])
        if not near:
            self._since, self._looked_far = horizon, now
            self._seen = {job_id: at for job_id, at in self._seen.items() if at >= horizon}

    def _changes(self, job_ids: Sequence[uuid.UUID]) -> list[Change]:
        found: list[Change] = []
        for job in Job.objects.filter(pk__in=job_ids).defer(*_LEFT_OUT):
            told = self._seen.get(job.pk)
            if told == job.changed_at:
                continue
            self._seen[job.pk] = job.changed_at
            found += passing.changes(job, told or self._since)
        return sorted(found, key=lambda change: change.position)


def _keys(since: datetime) -> Iterator[Key]:
    """Return time and id of the jobs that changed since a time, the earliest first."""
    sql = dialect()
    statement = "SELECT changed_at, id FROM jobs_job WHERE changed_at >= %s ORDER BY changed_at, id"
    for at, job_id in rows(statement, [sql.time(since)]):
        yield _moment(at), sql.to_uuid(job_id)


def _moment(value: datetime | str) -> datetime:
    """Return a time as a plain cursor reads it: with its zone on PostgreSQL, naive or as text on SQLite."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
