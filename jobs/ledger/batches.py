"""Jobs of a task are claimed that wait beside one of them, to be called together."""

from collections.abc import Sequence
from functools import cache

from jobs.ledger.claims import IS_FREE, Claimed, by_lease, claim_update, claimed_columns
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.queues import NOT_HELD_IN_ORDER
from jobs.ledger.sql import NOT_PAUSED, rows


def claim_waiting(task: str, queue: str, leases: Sequence[str], *, lease_seconds: float, worker: str) -> list[Claimed]:
    """Queued → running for jobs of a task, as many as there are leases, the most urgent first; each gets one lease."""
    if not leases:
        return []
    sql = dialect()
    found = rows(_claim_waiting(sql), (task, queue, len(leases), sql.array(leases), lease_seconds, worker))
    taken = by_lease(found, sql)
    return [taken[lease] for lease in leases if lease in taken]


@cache
def _claim_waiting(sql: Dialect) -> str:
    wanted = (
        f"SELECT id, priority, run_at FROM jobs_job WHERE task = %s AND queue = %s AND {NOT_HELD_IN_ORDER}"
        f" AND {NOT_PAUSED} AND {IS_FREE}"
        f" ORDER BY priority DESC, run_at, id LIMIT %s {sql.skip_locked}"
    )
    return (
        f"WITH wanted AS MATERIALIZED ({wanted}),"
        " placed AS MATERIALIZED (SELECT id AS job, row_number() OVER (ORDER BY priority DESC, run_at, id) AS place"
        " FROM wanted),"
        f" named AS MATERIALIZED (SELECT job, {sql.item('place')} AS lease FROM placed)"
        f" {claim_update(sql)} FROM named WHERE id = named.job RETURNING {claimed_columns(sql)}"
    )
