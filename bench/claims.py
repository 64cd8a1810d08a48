"""The statement that claims: without the conditions of flow control, with them, and beside many jobs held back."""

import json
import time
import uuid
from collections.abc import Sequence
from statistics import median

#: Jobs claimed by one statement, how often each statement is timed, and the jobs that wait for one key. No worker
#: consumes their queue, and they have been dispatched.
AT_ONCE, TIMES, HELD = 100, 150, 100_000

_WAITING = """
    INSERT INTO jobs_job (id, task, queue, state, args, kwargs, dispatched_at)
    SELECT uuidv7(), 'bench.tasks.nothing', 'claims', 'queued', '[]', '{{}}', now() FROM generate_series(1, {count})
"""

_HELD = """
    INSERT INTO jobs_job (id, task, queue, state, args, kwargs, dispatched_at,
                          limit_key, held_by, held_since, held_rule)
    SELECT uuidv7(), 'bench.tasks.limited', 'claims', 'queued', '[]', '{{}}', now(), 'bench.tasks.limited:1', 'limit',
           now(), 0
    FROM generate_series(1, {count})
"""


def timed() -> str:
    """Return, as JSON, the milliseconds of each statement: `plain`, `ruled`, `held`."""
    from django.db import connection  # noqa: PLC0415  Django is ready only now.

    from jobs.ledger import claims  # noqa: PLC0415
    from jobs.ledger.dialect import POSTGRESQL  # noqa: PLC0415
    from jobs.ledger.rules import NO_RULE  # noqa: PLC0415
    from jobs.ledger.sql import BREAKER_CLOSED, rows  # noqa: PLC0415

    ruled = claims._claim(POSTGRESQL)  # noqa: SLF001 (it is what is measured)
    plain = ruled.replace(f" AND {NO_RULE} AND {BREAKER_CLOSED}", "")
    assert plain != ruled

    def execute(statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)

    execute(_WAITING.format(count=10 * AT_ONCE))
    execute("VACUUM ANALYZE jobs_job")
    ids = [job_id for (job_id,) in rows("SELECT id FROM jobs_job WHERE queue = 'claims' LIMIT %s", [AT_ONCE])]
    free = _medians([plain, ruled], ids)
    execute(_HELD.format(count=HELD))
    execute("VACUUM ANALYZE jobs_job")
    (held,) = _medians([ruled], ids)
    return json.dumps(dict(zip(("plain", "ruled", "held"), (*free, held), strict=True)))


def _medians(statements: Sequence[str], ids: Sequence[uuid.UUID]) -> list[float]:
    """Return the milliseconds each statement takes to claim these jobs, in turns; what it claims is taken back."""
    from django.db import transaction  # noqa: PLC0415

    from jobs.ledger.dialect import pairs_of  # noqa: PLC0415
    from jobs.ledger.sql import rows  # noqa: PLC0415

    took: list[list[float]] = [[] for _ in statements]
    for number in range(TIMES * len(statements)):
        leases = pairs_of({job_id: uuid.uuid4().hex for job_id in ids})
        turn = number % len(statements)
        with transaction.atomic():
            began = time.perf_counter()
            claimed = rows(statements[turn], (leases, 30.0, "bench"))
            took[turn].append(time.perf_counter() - began)
            assert len(claimed) == len(ids)
            transaction.set_rollback(True)
    return [median(each) * 1000 for each in took]
