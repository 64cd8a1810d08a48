"""What limits jobs, and which of them it concerns: the rows of `jobs_flow_rule`, and what runs and waits under them."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jobs.core.limits import Gate, Kind, Limit, Rate
from jobs.core.renames import former
from jobs.core.states import State
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import changed, free, placeholders, rows

#: Holds for rules that may keep a job from being claimed.
_IN_FORCE = "(rate IS NOT NULL OR concurrency IS NOT NULL OR paused_at IS NOT NULL OR has_line)"

_NAMES = "SELECT name FROM jobs_flow_rule WHERE kind = '{kind}' AND {condition}"

#: Those of tasks, and the old names of these.
_TASKS = _NAMES.format(kind=Kind.TASK, condition=_IN_FORCE)
_TASKS = _NAMES.format(kind=Kind.TASK, condition=f"({_IN_FORCE} OR renamed_to IN ({_TASKS}))")

#: Holds for jobs that nothing here concerns; it costs next to nothing while there are no rules.
NO_RULE = (
    f"limit_key IS NULL AND task NOT IN ({_TASKS})"
    f" AND queue NOT IN ({_NAMES.format(kind=Kind.QUEUE, condition=_IN_FORCE)})"
    # Tenants' jobs are claimed in turns.
    " AND tenant IS NULL"
)

#: What a rule is called by: its kind, and its name.
Name = tuple[Kind, str]

_COLUMNS = "id, kind, name, rate, burst, concurrency, is_per_key, tat, has_line, paused_at IS NOT NULL, renamed_to"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of `jobs_flow_rule`.

    Attributes:
        tat: when the next job of an even flow would arrive, in seconds since 1970.
        has_line: whether jobs may wait in its line.
        is_paused: whether no job of it may begin.
        renamed_to: the present name of the task, whose old name this is.
    """

    id: int
    kind: Kind
    name: str
    rate: str | None
    burst: int
    concurrency: int | None
    is_per_key: bool
    tat: float
    has_line: bool
    is_paused: bool
    renamed_to: str | None = None

    @property
    def is_limit(self) -> bool:
        """Whether it has figures."""
        return self.rate is not None or self.concurrency is not None

    def gate(self, figures: "Rule", running: int, now: float) -> Gate:
        """Return it with these figures, its own or those of the task whose key it is."""
        return Gate(
            self.id,
            None if figures.rate is None else Rate.read(figures.rate).interval,
            figures.burst,
            self.tat - now,
            None if figures.concurrency is None else figures.concurrency - running,
            self.is_paused,
        )


def named(names: Collection[Name]) -> list[Rule]:
    """Return the rules that there are of these, and those of all old names of tasks."""
    by_kind = [dialect().array(sorted(name for kind, name in names if kind == one)) for one in Kind]
    return _rules(rows(_named(dialect()), by_kind))


def declare(kind: Kind, source: str, limits: Mapping[str, Limit | None]) -> None:
    """Write what code or settings declare. Rows that somebody has changed keep their figures.

    Args:
        kind: what the limits are for.
        source: `code` or `setting`.
        limits: by name; None for what may have had a limit and has none any more.
    """
    sql = dialect()
    for name, limit in sorted(limits.items()):
        if limit is not None:
            changed(
                _declaration(sql), (kind, name, limit.rate, limit.burst, limit.concurrency, limit.is_per_key, source)
            )
    gone = [name for name, limit in limits.items() if limit is None]
    changed(
        "UPDATE jobs_flow_rule SET rate = NULL, burst = 1, concurrency = NULL, is_per_key = FALSE"
        f" WHERE kind = %s AND name {sql.is_one_of} AND source <> 'operator'"
        " AND (rate IS NOT NULL OR concurrency IS NOT NULL OR is_per_key)",
        (kind, sql.array(gone)),
    )


@cache
def _declaration(sql: Dialect) -> str:
    kept = ", ".join(
        f"{name} = CASE WHEN jobs_flow_rule.source = 'operator' THEN jobs_flow_rule.{name} ELSE EXCLUDED.{name} END"
        for name in ("rate", "burst", "concurrency", "source")
    )
    differs = " OR ".join(
        f"jobs_flow_rule.{name} IS DISTINCT FROM EXCLUDED.{name}"
        for name in ("rate", "burst", "concurrency", "is_per_key")
    )
    return (
        "INSERT INTO jobs_flow_rule (kind, name, rate, burst, concurrency, is_per_key, source)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)"
        f" ON CONFLICT (kind, name) DO UPDATE SET {kept}, is_per_key = EXCLUDED.is_per_key WHERE {differs}"
    )


def add_keys(names: Collection[str]) -> None:
    """Write rows for keys that have none; their figures are those of their task."""
    sql = dialect()
    given = "unnest(%s::text[])" if sql.name == "postgresql" else "(SELECT value FROM json_each(%s))"
    changed(
        f"INSERT INTO jobs_flow_rule (kind, name) SELECT '{Kind.KEY}', * FROM {given} AS given WHERE TRUE"
        " ON CONFLICT DO NOTHING",
        # In order, lest two workers wait for each other.
        [sql.array(sorted(names))],
    )


def lock(rule_ids: Collection[int]) -> list[Rule]:
    """Return these rules, locked until the transaction ends; without those that somebody else has locked."""
    ids = list(rule_ids)
    return _rules(
        rows(
            f"SELECT {_COLUMNS} FROM jobs_flow_rule WHERE id IN ({placeholders(ids)}) {dialect().skip_locked}",
            ids,
        )
    )


def with_lines(limit: int) -> list[int]:
    """Return rules in whose lines jobs may wait, some of them where there are many; each time others."""
    found = rows("SELECT id FROM jobs_flow_rule WHERE has_line ORDER BY random() LIMIT %s", [limit])
    return [rule_id for (rule_id,) in found]


def running(names: Collection[Name], renamed: Mapping[str, str]) -> Counter[Name]:
    """Return how many jobs of each of these run, those under old names included.

    Asked with their rules locked, none is claimed meanwhile.

    Args:
        names: of rules.
        renamed: the present names of renamed tasks, by old ones.
    """
    if not names:
        return Counter()
    sql = dialect()
    of = {(kind, old): (kind, name) for kind, name in names for old in (name, *former(kind, name, renamed))}
    kinds = tuple(kind for kind in Kind if any(kind == one for one, _ in names))
    by_kind = [sql.array(sorted(name for kind, name in of if kind == one)) for one in kinds]
    found: Counter[Name] = Counter()
    for kind, name, number in rows(_running(sql, kinds), by_kind):
        found[of[Kind(kind), name]] += number
    return found


def now() -> float:
    """Return the time by the database's clock, in seconds since 1970."""
    [(found,)] = rows(_NOW[dialect().name])
    return float(found)


def keep(tats: Mapping[int, float], with_line: Collection[int]) -> None:
    """Write down what was decided of locked rules: their theoretical arrival times, and in whose lines jobs wait."""
    sql = dialect()
    changes = [
        {"rule": rule_id, "tat": tats.get(rule_id), "line": rule_id in with_line}
        for rule_id in sorted({*tats, *with_line})
    ]
    if changes:
        given = sql.given({"rule": "bigint", "tat": "float8", "line": "boolean"})
        changed(
            "UPDATE jobs_flow_rule SET tat = COALESCE(given.tat, jobs_flow_rule.tat), has_line = has_line OR given.line"
            f" FROM ({given}) AS given WHERE id = given.rule",
            [json.dumps(changes)],
        )


def end_lines(rule_ids: Collection[int]) -> None:
    """Note of locked rules in whose lines nobody waits that this is so."""
    for rule_id in rule_ids:
        changed(
            "UPDATE jobs_flow_rule SET has_line = FALSE WHERE id = %s AND NOT EXISTS"
            f" (SELECT 1 FROM jobs_job WHERE held_rule = %s AND state = '{State.QUEUED}')",
            (rule_id, rule_id),
        )


def prune_keys(limit: int) -> int:
    """Delete up to `limit` rows of keys that say nothing: no figures, no pause, no line, no start in the last hour."""
    idle = (
        f"kind = '{Kind.KEY}' AND rate IS NULL AND concurrency IS NULL AND paused_at IS NULL AND NOT has_line"
        f" AND tat < %s AND NOT EXISTS (SELECT 1 FROM jobs_job WHERE limit_key = name AND state = '{State.RUNNING}')"
        " ORDER BY id LIMIT %s"
    )
    return changed(f"DELETE FROM jobs_flow_rule WHERE {free(idle, 'jobs_flow_rule')}", [now() - 3600, limit])


#: The clock at this moment: a statement that locks rows may have waited, and others have had their turn since it began.
_NOW = {
    "postgresql": "SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400",
}


@cache
def _named(sql: Dialect) -> str:
    either = " OR ".join(f"kind = '{kind}' AND name {sql.is_one_of}" for kind in Kind)
    return f"SELECT {_COLUMNS} FROM jobs_flow_rule WHERE {either} OR renamed_to IS NOT NULL"


#: Which jobs are a rule's. Those of a task with keys are their keys'.
_JOBS = {
    Kind.TASK: ("task", " AND limit_key IS NULL"),
    Kind.QUEUE: ("queue", ""),
    Kind.KEY: ("limit_key", ""),
    Kind.TENANT: ("tenant", ""),
}


@cache
def _running(sql: Dialect, kinds: Sequence[Kind]) -> str:
    return " UNION ALL ".join(
        f"SELECT '{kind}', {column}, COUNT(*) FROM jobs_job WHERE state = '{State.RUNNING}'"
        f" AND {column} {sql.is_one_of}{besides} GROUP BY {column}"
        for kind, (column, besides) in _JOBS.items()
        if kind in kinds
    )


def _rules(found: Iterable[Sequence[Any]]) -> list[Rule]:
    return [
        Rule(rule_id, Kind(kind), name, rate, burst, concurrency, bool(per_key), tat, bool(line), bool(paused), renamed)
        for rule_id, kind, name, rate, burst, concurrency, per_key, tat, line, paused, renamed in found
    ]
