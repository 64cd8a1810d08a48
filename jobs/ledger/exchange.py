"""What a worker's parent process tells the ledger and asks of it in one statement: successes and claims.

For PostgreSQL only. The statement goes over a connection that nobody waits for (`jobs.runtime.line`); so parameters
and rows are in libpq's text format here.
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
    ended = (
        f"{success(words)} FROM unnest(%s::uuid[], %s::text[]) AS done (job, lease)"
        f" WHERE id = done.job AND {in_state(State.RUNNING)} AND lease_id = done.lease RETURNING done.lease"
    )
    begun = (
        f"{taking(words, 'delivered.lease')} FROM unnest(%s::uuid[], %s::text[]) AS delivered (job, lease)"
        f" WHERE id = delivered.job AND {in_state(State.QUEUED)} AND unique_key IS NULL AND worker_losses = 0"
        f" AND {NOT_PAUSED} RETURNING delivered.lease, {claimed_columns(words)} AS expired"
    )
    return _numbered(
        f"WITH ended AS ({ended}), begun AS ({begun})"
        " SELECT lease, NULL::int, NULL::int, NULL::int, NULL::int, NULL::bool FROM ended"
        " UNION ALL SELECT * FROM begun"
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


def _numbered(text: str) -> str:
    first, *others = text.split("%s")
    return first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))
