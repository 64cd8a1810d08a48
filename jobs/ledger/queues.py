"""What waits in the queues, asked for in words by which both databases find it without reading what else waits."""

from jobs.core.states import State

#: Holds for queued jobs that nothing holds back.
NOT_HELD = f"state = '{State.QUEUED}' AND held_by IS NULL"

#: Holds for the same. The words are those of the index `jobs_job_waiting` and of no other: whoever wants these jobs in
#: its order is served by that one, and nobody else is.
NOT_HELD_IN_ORDER = f"state >= '{State.QUEUED}' AND state <= '{State.QUEUED}' AND held_by IS NULL AND priority >= 0"

#: The order of the index `jobs_job_queued` in a queue: those without a message stand together, the oldest first.
BY_MESSAGE = "ORDER BY dispatched_at, held_by, run_at"

_FIRST = f"SELECT queue FROM jobs_job WHERE state = '{State.QUEUED}'"


def queues_with(condition: str, which: str = "TRUE") -> str:
    """Return the query for queues in which jobs wait that nothing holds back and for which a condition holds.

    Each queue, and its first such job, is found by one step in the index `jobs_job_queued`, whose first column is the
    queue. A database that is asked about all queues at once reads the whole index, or what it believes to be less.

    Args:
        condition: on `dispatched_at`, and where that is null on `run_at`.
        which: a condition on the `queue`.
    """
    # No EXISTS, for which PostgreSQL may read all that waits: for the first one in order it goes by the index.
    first = f"SELECT 1 FROM jobs_job WHERE {NOT_HELD} AND jobs_job.queue = found.queue AND {condition} {BY_MESSAGE}"
    return (
        f"WITH RECURSIVE found (queue) AS (SELECT ({_FIRST} ORDER BY queue LIMIT 1) UNION ALL"
        f" SELECT ({_FIRST} AND queue > found.queue ORDER BY queue LIMIT 1) FROM found WHERE found.queue IS NOT NULL)"
        f" SELECT queue FROM found WHERE queue IS NOT NULL AND ({first} LIMIT 1) IS NOT NULL AND {which}"
    )
