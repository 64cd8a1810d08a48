"""The waiting jobs of a queue by tenant, and how much each tenant has had of it."""

import json
from collections.abc import Collection, Mapping

from jobs.core.limits import Kind
from jobs.core.states import AFTER_QUEUED, State
from jobs.core.turns import Turns
from jobs.ledger.dialect import dialect
from jobs.ledger.lines import COLUMNS, Waiting, waiting
from jobs.ledger.sql import BREAKER_CLOSED, NOT_PAUSED, changed, free, one, rows

#: Holds for jobs that wait for their tenant's turn; the words are those of the index `jobs_job_turns` and of no other.
_WAITING = (
    f"queue = %s AND state >= '{State.QUEUED}' AND state < '{AFTER_QUEUED}' AND tenant IS NOT NULL AND held_by IS NULL"
)
_WAITS = f"{_WAITING} AND priority = %s"

#: At most so many tenants are looked at for one claim. Where more wait, the next claim begins at another one.
MOST = 1000


def lock(queue: str) -> Turns | None:
    """Return a queue's turns, locked until the transaction ends; None where somebody else has locked them."""
    sql = dialect()
    if one("SELECT 1 FROM jobs_turn WHERE queue = %s AND tenant = ''", [queue]) is None:
        changed("INSERT INTO jobs_turn (queue, tenant) VALUES (%s, '') ON CONFLICT DO NOTHING", [queue])
    clock = one(f"SELECT served FROM jobs_turn WHERE queue = %s AND tenant = '' {sql.skip_locked}", [queue])
    return None if clock is None else Turns(float(clock[0]))


def read(turns: Turns, queue: str, tenants: Collection[str]) -> None:
    """Read how much tenants have had, and what they weigh."""
    sql = dialect()
    names = sql.array(tenants)
    found = rows(
        f"SELECT 'served', tenant, served FROM jobs_turn WHERE queue = %s AND tenant {sql.is_one_of}"
        f" UNION ALL SELECT 'weight', name, weight FROM jobs_flow_rule WHERE kind = '{Kind.TENANT}'"
        f" AND weight IS NOT NULL AND name {sql.is_one_of}",
        [queue, names, names],
    )
    for what, tenant, value in found:
        (turns.served if what == "served" else turns.weights)[tenant] = float(value)


def begin_anew(tenant: str) -> None:
    """Forget how much a tenant has had: what it had while it weighed something else says nothing any more."""
    changed("DELETE FROM jobs_turn WHERE tenant = %s", [tenant])


def keep(turns: Turns, queue: str, tenants: Collection[str]) -> None:
    """Write down how much these tenants have had, and the queue's clock."""
    given = json.dumps([{"tenant": name, "served": turns.served[name]} for name in sorted(tenants)])
    source = dialect().given({"tenant": "text", "served": "float8"})
    changed(
        f"INSERT INTO jobs_turn (queue, tenant, served) SELECT %s, tenant, served FROM ({source}) AS given WHERE TRUE"
        " ON CONFLICT (queue, tenant) DO UPDATE SET served = EXCLUDED.served",
        [queue, given],
    )
    changed("UPDATE jobs_turn SET served = %s WHERE queue = %s AND tenant = ''", [turns.clock, queue])


def next_priority(queue: str, below: int) -> int | None:
    """Return the highest priority below this one at which jobs wait for their tenant's turn."""
    # In the order of the index, and no MAX(): where PostgreSQL believes in a single row it would read them all.
    found = one(
        f"SELECT priority FROM jobs_job WHERE {_WAITING} AND priority < %s ORDER BY priority DESC LIMIT 1",
        [queue, below],
    )
    return None if found is None else found[0]


def tenants(queue: str, priority: int) -> list[str]:
    """Return whose jobs of this priority wait; of more than `MOST` tenants, others each time it is asked."""
    found = _tenants_after("", queue, priority)
    if len(found) < MOST:
        return found
    # Begun at any tenant that had a turn, it comes to those that had none, too: the more had one, the farther it gets.
    start = one("SELECT tenant FROM jobs_turn WHERE queue = %s AND tenant <> '' ORDER BY RANDOM() LIMIT 1", [queue])
    later = _tenants_after(start[0], queue, priority) if start else []
    return [*later, *found[: MOST - len(later)]]


def _tenants_after(name: str, queue: str, priority: int) -> list[str]:
    """Return the next tenants by name, whatever number of jobs they have: each is found by one step in the index."""
    first = f"SELECT tenant FROM jobs_job WHERE {_WAITS} AND tenant > {{after}} ORDER BY tenant LIMIT 1"
    found = rows(
        f"WITH RECURSIVE named (tenant) AS (SELECT ({first.format(after='%s')}) UNION ALL"
        f" SELECT ({first.format(after='named.tenant')}) FROM named"
        " WHERE named.tenant IS NOT NULL) SELECT tenant FROM named WHERE tenant IS NOT NULL LIMIT %s",
        [queue, priority, name, queue, priority, MOST],
    )
    return [tenant for (tenant,) in found]


def heads(queue: str, priority: int, shares: Mapping[str, int]) -> list[Waiting]:
    """Return so many of each tenant's jobs of this priority, the first ones, their rows locked.

    Left out are those of paused queues, those whose breakers are not closed, and those whose rows others have locked.
    """
    sql = dialect()
    mine = f"{_WAITS} AND tenant = %s AND {NOT_PAUSED} AND {BREAKER_CLOSED}"
    found = []
    for tenant, number in shares.items():
        found += rows(
            f"SELECT {COLUMNS} FROM jobs_job WHERE {mine} ORDER BY run_at, id LIMIT %s {sql.skip_locked}",
            [queue, priority, tenant, number],
        )
    return waiting(found)


def prune(limit: int) -> int:
    """Delete up to `limit` rows of tenants that have had no more than the clock of their queue says: as if new."""
    passed = (
        "tenant <> '' AND served <= (SELECT served FROM jobs_turn AS clock"
        " WHERE clock.queue = jobs_turn.queue AND clock.tenant = '') ORDER BY id LIMIT %s"
    )
    return changed(f"DELETE FROM jobs_turn WHERE {free(passed, 'jobs_turn')}", [limit])
