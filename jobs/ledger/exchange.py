"""What a worker's parent process tells the ledger and asks of it in one statement: successes and claims.

For PostgreSQL only. The statement goes over a connection that nobody waits for (`jobs.worker.async_connection`); so
parameters and rows are in libpq's text format here.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence

from jobs.core.states import State
from jobs.ledger.attempts import success
from jobs.ledger.claims import Claimed, claimed_columns, taking
from jobs.ledger.sql import NOT_PAUSED, POSTGRESQL, in_state

Row = Sequence[bytes | None]


def statement() -> str:
    """Return the statement: running → succeeded for some jobs, queued → running for others.

    Each job is named with a lease. Left for a claim of their own are jobs that hold a unique key, which they do until
    they begin, and those that have lost a worker: the next one they kill should not count against others that it had
    claimed with them.
    """
    words = POSTGRESQL
    done = _found(1, f"{in_state(State.RUNNING)} AND lease_id = named.lease")
    wanted = _found(5, f"{in_state(State.QUEUED)} AND unique_key IS NULL AND worker_losses = 0 AND {NOT_PAUSED}")
    return (
        f"WITH done AS MATERIALIZED ({done}), wanted AS MATERIALIZED ({wanted}),"
        f" ended AS ({success(words)} FROM done WHERE jobs_job.id = done.id RETURNING done.lease),"
        f" begun AS ({_numbered(taking(words, 'wanted.lease'), 3)} FROM wanted WHERE jobs_job.id = wanted.id"
        f" RETURNING wanted.lease, {', '.join(claimed_columns(words))})"
        " SELECT lease, NULL::int, NULL::int, NULL::int, NULL::int, NULL::bool FROM ended"
        " UNION ALL SELECT * FROM begun"
    )


def _found(first: int, condition: str) -> str:
    """Return a query for jobs named in two arrays, each with a lease. Those whose rows others hold are passed by."""
    return (
        f"SELECT job.id, named.lease FROM unnest(${first}::uuid[], ${first + 1}::text[]) AS named (job, lease)"
        f" CROSS JOIN LATERAL (SELECT id FROM jobs_job WHERE id = named.job AND {condition}"
        f" {POSTGRESQL.skip_locked}) AS job"
    )


def parameters(
    succeeded: Mapping[str, uuid.UUID], claims: Mapping[str, uuid.UUID], lease_seconds: float, worker: str
) -> list[bytes]:
    """Return the statement's parameters. The jobs are given by their leases."""
    return [
        _array(job_id.hex for job_id in succeeded.values()),
        _array(succeeded),
        str(lease_seconds).encode(),
        worker.encode(),
        _array(job_id.hex for job_id in claims.values()),
        _array(claims),
    ]


def answer(rows: Iterable[Row]) -> tuple[set[str], dict[str, Claimed]]:
    """Return the leases under which jobs succeeded, and what was claimed, by lease."""
    succeeded: set[str] = set()
    claimed: dict[str, Claimed] = {}
    for lease, attempt, base, max_retries, losses, expired in rows:
        lease_id = (lease or b"").decode()
        if attempt is None:
            succeeded.add(lease_id)
        else:
            claimed[lease_id] = Claimed(
                attempt=int(attempt),
                attempt_base=int(base or 0),
                max_retries=None if max_retries is None else int(max_retries),
                worker_losses=int(losses or 0),
                expired=expired == b"t",
            )
    return succeeded, claimed


def _array(items: Iterable[str]) -> bytes:
    # Hexadecimal digits need no quotes.
    return f"{{{','.join(items)}}}".encode()


def _numbered(text: str, start: int) -> str:
    first, *others = text.split("%s")
    return first + "".join(f"${number}{part}" for number, part in enumerate(others, start))
