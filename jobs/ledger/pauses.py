"""Pauses that were made until a time, and end then by themselves."""

from jobs.core.held_by import HeldBy
from jobs.ledger.dialect import dialect
from jobs.ledger.lines import rename
from jobs.ledger.maintain import redispatch_queue
from jobs.ledger.sql import rows

_NOT_PAUSED = "paused_at = NULL, paused_until = NULL, paused_by = '', pause_reason = ''"


def end_pauses() -> list[str]:
    """End the pauses whose time has come. Returns what goes on, in words."""
    now = dialect().now
    queues = rows(f"UPDATE jobs_queue SET {_NOT_PAUSED} WHERE paused_until <= {now} RETURNING name")
    for (name,) in queues:
        redispatch_queue(name)
    others = rows(f"UPDATE jobs_flow_rule SET {_NOT_PAUSED} WHERE paused_until <= {now} RETURNING id, kind, name")
    for rule_id, _, _ in others:
        rename(rule_id, HeldBy.LIMIT)
    return [*(f"queue {name}" for (name,) in queues), *(f"{kind} {name}" for _, kind, name in others)]
