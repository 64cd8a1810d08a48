"""The row of a message that came without one, from a producer that knows nothing of the ledger."""

from jobs.ledger.dialect import dialect
from jobs.ledger.enqueue import COLUMNS, NewJob, row
from jobs.ledger.sql import one


def adopt(job: NewJob) -> bool:
    """Write a job for a message that came without one: queued with its message at hand, or for later if it waits.

    Returns:
        Whether this call wrote it; false where another delivery of the message was first.
    """
    values, parameters = row(job)
    dispatched = "NULL" if job.waits else dialect().now
    statement = f"INSERT INTO jobs_job ({COLUMNS}, dispatched_at) VALUES ({values}, {dispatched})"
    return one(statement + " ON CONFLICT (id) DO NOTHING RETURNING id", parameters) is not None
