"""Jobs that were claimed and have not begun go back to their queues."""

import uuid
from collections.abc import Collection

from jobs.core.states import State
from jobs.ledger.dialect import dialect
from jobs.ledger.sql import NO_LEASE, RowLocked, changed, free, in_state, rows


def leases_of(job_ids: Collection[uuid.UUID]) -> set[str]:
    """Return the leases under which these jobs run."""
    sql = dialect()
    found = rows(
        f"SELECT lease_id FROM jobs_job WHERE id {sql.is_one_of_ids} AND {in_state(State.RUNNING)}",
        [sql.ids(job_ids)],
    )
    return {lease_id for (lease_id,) in found}


def put_back(lease_ids: Collection[str]) -> int:
    """Running → queued for jobs that were claimed and have not begun; the attempt is given back.

    Their messages are used up: they are dispatched again. Those that an operator wants cancelled stay as they are.

    Args:
        lease_ids: of the claims.

    Returns:
        How many jobs went back.

    Raises:
        RowLocked: naming those that could not be put back. The others are.
    """
    if not lease_ids:
        return 0
    sql = dialect()
    begun = f"state = '{State.RUNNING}' AND lease_id {sql.is_one_of} AND cancel_requested_at IS NULL"
    leases = [sql.array(lease_ids)]
    put = changed(
        f"UPDATE jobs_job SET state = '{State.QUEUED}', attempt = attempt - 1,"
        f" changed_at = {sql.now}, {NO_LEASE}, dispatched_at = NULL WHERE {free(begun)}",
        leases,
    )
    if put < len(lease_ids) and (passed_by := rows(f"SELECT id FROM jobs_job WHERE {begun}", leases)):
        raise RowLocked(sql.to_uuid(job_id) for (job_id,) in passed_by)
    return put
