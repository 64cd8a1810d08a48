"""What tenants take turns in: their waiting jobs there, and how much each of them has had of it."""

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from jobs.core.limits import Kind
from jobs.core.states import AFTER_QUEUED, State
from jobs.core.turns import Turns
from jobs.ledger.dialect import dialect
from jobs.ledger.lines import COLUMNS, Waiting, waiting
from jobs.ledger.sql import BREAKER_CLOSED, NOT_PAUSED, changed, free, one, rows

#: Holds for jobs that wait for their tenant's turn in a queue, and in line. The words are those of the indexes
#: `jobs_job_turns` and `jobs_job_line_turns`, and of no other: PostgreSQL without statistics takes these.
_QUEUED = f"state >= '{State.QUEUED}' AND state < '{AFTER_QUEUED}' AND tenant IS NOT NULL"
_IN_QUEUE = f"queue = %s AND {_QUEUED} AND held_by IS NULL"
_IN_LINE = f"held_rule = %s AND {_QUEUED}"

#: What the turns of lines are kept under begins so. No queue's name has a blank in it.
_LINE = "line "


@dataclass(frozen=True, slots=True)
class Shared:
    """A queue, or the line of a limit.

    Attributes:
        name: what its turns are kept under.
        waiting: the condition on tenants' jobs that wait there; its one parameter is `of`.
        queues: those of whose jobs it is whose turn it is.
    """

    name: str
    waiting: str
    of: str | int
    queues: Collection[str]


def in_queue(name: str) -> Shared:
    """Return a queue, in which tenants share what is claimed of it."""
    return Shared(name, _IN_QUEUE, name, (name,))


def in_line(rule_id: int, queues: Collection[str]) -> Shared:
    """Return the line of a limit, in which tenants share what it lets begin.

    Args:
        rule_id: the limit's.
        queues: those of whose jobs some may begin.
    """
    return Shared(f"{_LINE}{rule_id}", _IN_LINE, rule_id, queues)


#: At most so many tenants are looked at for one claim. Where more wait, the next claim begins at another one.
MOST = 1000


def lock(shared: Shared) -> Turns | None:
    """Return the turns there, locked until the transaction ends; None where somebody else has locked them."""
    sql, named = dialect(), [shared.name]
    if one("SELECT 1 FROM jobs_turn WHERE queue = %s AND tenant = ''", named) is None:
        changed("INSERT INTO jobs_turn (queue, tenant) VALUES (%s, '') ON CONFLICT DO NOTHING", named)
    clock = one(f"SELECT served FROM jobs_turn WHERE queue = %s AND tenant = '' {sql.skip_locked}", named)
    return None if clock is None else Turns(float(clock[0]))


def read(turns: Turns, shared: Shared, tenants: Collection[str]) -> None:
    """Read how much tenants have had, and what they weigh."""
    sql = dialect()
    names = sql.array(tenants)
    found = rows(
        f"SELECT 'served', tenant, served FROM jobs_turn WHERE queue = %s AND tenant {sql.is_one_of}"
        f" UNION ALL SELECT 'weight', name, weight FROM jobs_flow_rule WHERE kind = '{Kind.TENANT}'"
        f" AND weight IS NOT NULL AND name {sql.is_one_of}",
        [shared.name, names, names],
    )
    for what, tenant, value in found:
        (turns.served if what == "served" else turns.weights)[tenant] = float(value)


def begin_anew(tenant: str) -> None:
    """Forget how much a tenant has had: what it had while it weighed something else says nothing any more."""
    changed("DELETE FROM jobs_turn WHERE tenant = %s", [tenant])


def keep(turns: Turns, shared: Shared, tenants: Collection[str]) -> None:
    """Write down how much these tenants have had, and the clock."""
    given = json.dumps([{"tenant": name, "served": turns.served[name]} for name in sorted(tenants)])
    source = dialect().given({"tenant": "text", "served": "float8"})
    changed(
        f"INSERT INTO jobs_turn (queue, tenant, served) SELECT %s, tenant, served FROM ({source}) AS given WHERE TRUE"
        " ON CONFLICT (queue, tenant) DO UPDATE SET served = EXCLUDED.served",
        [shared.name, given],
    )
    changed("UPDATE jobs_turn SET served = %s WHERE queue = %s AND tenant = ''", [turns.clock, shared.name])


def next_priority(shared: Shared, below: int) -> int | None:
    """Return the highest priority below this one at which jobs wait for their tenant's turn."""
    # In the order of the index, and no MAX(): where PostgreSQL believes in a single row it would read them all.
    found = one(
        f"SELECT priority FROM jobs_job WHERE {shared.waiting} AND priority < %s ORDER BY priority DESC LIMIT 1",
        [shared.of, below],
    )
    return None if found is None else found[0]


def tenants(shared: Shared, priority: int) -> list[str]:
    """Return whose jobs of this priority wait; of more than `MOST` tenants, others each time it is asked."""
    found = _tenants_after("", shared, priority)
    if len(found) < MOST:
        return found
    # Begun at any tenant that had a turn, it comes to those that had none, too: the more had one, the farther it gets.
    named = [shared.name]
    start = one("SELECT tenant FROM jobs_turn WHERE queue = %s AND tenant <> '' ORDER BY RANDOM() LIMIT 1", named)
    later = _tenants_after(start[0], shared, priority) if start else []
    return [*later, *found[: MOST - len(later)]]


def _tenants_after(name: str, shared: Shared, priority: int) -> list[str]:
    """Return the next tenants by name, whatever number of jobs they have: each is found by one step in the index."""
    waits = f"{shared.waiting} AND priority = %s"
    first = f"SELECT tenant FROM jobs_job WHERE {waits} AND tenant > {{after}} ORDER BY tenant LIMIT 1"
    found = rows(
        f"WITH RECURSIVE named (tenant) AS (SELECT ({first.format(after='%s')}) UNION ALL"
        f" SELECT ({first.format(after='named.tenant')}) FROM named"
        " WHERE named.tenant IS NOT NULL) SELECT tenant FROM named WHERE tenant IS NOT NULL LIMIT %s",
        [shared.of, priority, name, shared.of, priority, MOST],
    )
    return [tenant for (tenant,) in found]


def heads(shared: Shared, priority: int, shares: Mapping[str, int]) -> list[Waiting]:
    """Return so many of each tenant's jobs of this priority, the first ones, their rows locked.

    Left out are those of other queues and of paused ones, those whose breakers are not closed, and those whose rows
    others have locked.
    """
    sql = dialect()
    mine = f"{shared.waiting} AND priority = %s AND tenant = %s AND queue {sql.is_one_of}"
    queues = sql.array(sorted(shared.queues))
    found = []
    for tenant, number in shares.items():
        found += rows(
            f"SELECT {COLUMNS} FROM jobs_job WHERE {mine} AND {NOT_PAUSED} AND {BREAKER_CLOSED}"
            f" ORDER BY run_at, id LIMIT %s {sql.skip_locked}",
            [shared.of, priority, tenant, queues, number],
        )
    return waiting(found)


def ahead_in_line(job_id: uuid.UUID, rule_id: int, priority: int, tenant: str) -> int:
    """Return how many jobs begin before a tenant's job that stands in line, if none comes any more.

    Args:
        job_id: the job.
        rule_id: in whose line it stands.
        priority: the job's.
        tenant: whose it is.
    """
    shared = in_line(rule_id, ())
    line = f"{shared.waiting} AND priority = %s"
    waiting: dict[str, int] = {}
    own = 0
    for name, number, before in rows(
        "SELECT tenant, COUNT(*),"
        " COUNT(*) FILTER (WHERE (run_at, id) < (SELECT run_at, id FROM jobs_job WHERE id = %s))"
        f" FROM jobs_job WHERE {line} GROUP BY tenant",
        [dialect().key(job_id), shared.of, priority],
    ):
        waiting[name] = number
        own = before if name == tenant else own
    clock = one("SELECT served FROM jobs_turn WHERE queue = %s AND tenant = ''", [shared.name])
    turns = Turns(0.0 if clock is None else float(clock[0]))
    read(turns, shared, waiting.keys())
    ahead = turns.before(tenant, own, waiting)
    # Those of nobody keep their places among those of tenants.
    [(others,)] = rows(
        f"SELECT COUNT(*) FROM jobs_job WHERE held_rule = %s AND state = '{State.QUEUED}'"
        " AND (priority > %s OR priority = %s AND tenant IS NULL AND (run_at, id) <"
        f" (SELECT run_at, id FROM jobs_job WHERE {line} ORDER BY run_at, id LIMIT 1 OFFSET %s))",
        [rule_id, priority, priority, shared.of, priority, ahead],
    )
    return ahead + int(others)


def prune(limit: int) -> int:
    """Delete up to `limit` rows that say nothing.

    They are those of tenants that have had no more than the clock there says, as if new, and those of lines that are no
    more, since their limit is not.
    """
    passed = (
        "tenant <> '' AND served <= (SELECT served FROM jobs_turn AS clock"
        " WHERE clock.queue = jobs_turn.queue AND clock.tenant = '')"
        f" OR queue LIKE '{_LINE}%%' AND NOT EXISTS"
        f" (SELECT 1 FROM jobs_flow_rule AS rule WHERE jobs_turn.queue = '{_LINE}' || rule.id)"
        " ORDER BY id LIMIT %s"
    )
    return changed(f"DELETE FROM jobs_turn WHERE {free(passed, 'jobs_turn')}", [limit])
