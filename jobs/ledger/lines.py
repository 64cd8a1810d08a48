"""Jobs that something limits: which may be claimed, and those that wait in line for it, in their order."""

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jobs.core.held_by import HeldBy
from jobs.core.renames import key_of
from jobs.core.states import State
from jobs.ledger.claims import Claimed, by_lease, claim_update, claimed_columns
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import BREAKER_CLOSED, NOT_PAUSED, change_named, changed, free, in_state, rows


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job whose claim is to be decided.

    Attributes:
        task: its present name.
        limit_key: as a job of that name would have it.
        place: what it is sorted by among those that wait.
        held_rule: the rule in whose line it waits.
    """

    id: uuid.UUID
    task: str
    queue: str
    limit_key: str | None
    tenant: str | None
    place: tuple[int, Any, str]
    held_rule: int | None


@dataclass(frozen=True, slots=True)
class Start:
    """A job that is to be claimed, under a lease, to begin in so many seconds."""

    id: uuid.UUID
    lease_id: str
    at: float


#: The present name of the task of a row of `jobs_job`. The index `jobs_flow_rule_renamed` has none but the renamed.
_PRESENT_TASK = (
    "COALESCE((SELECT renamed.renamed_to FROM jobs_flow_rule AS renamed WHERE renamed.kind = 'task'"
    " AND renamed.name = jobs_job.task AND renamed.renamed_to IS NOT NULL), jobs_job.task)"
)

COLUMNS = f"id, task, {_PRESENT_TASK}, queue, limit_key, tenant, priority, run_at, held_rule"
_ORDER = "ORDER BY priority DESC, run_at, id"


def asked(job_ids: Collection[uuid.UUID]) -> list[Waiting]:
    """Return those of these jobs that wait for nothing, their rows locked; without those that others have locked."""
    sql = dialect()
    due = f"id {sql.is_one_of_ids} AND {in_state(State.QUEUED)} AND held_by IS NULL AND {NOT_PAUSED}"
    return waiting(rows(f"SELECT {COLUMNS} FROM jobs_job WHERE {due} {sql.skip_locked}", [sql.ids(job_ids)]))


def heads(rule_ids: Collection[int], queues: Collection[str], limit: int) -> list[Waiting]:
    """Return the first jobs of each of these lines, `limit` of each at most, their rows locked.

    Left out are jobs of other queues than `queues` and of paused ones, those whose breakers are not closed, and those
    whose rows others have locked.
    """
    sql = dialect()
    found = []
    for rule_id in sorted(rule_ids):
        found += rows(_heads(sql), (rule_id, sql.array(sorted(queues)), limit))
    return waiting(found)


@cache
def _heads(sql: Dialect) -> str:
    line = (
        f"held_rule = %s AND state = '{State.QUEUED}' AND queue {sql.is_one_of} AND {NOT_PAUSED} AND {BREAKER_CLOSED}"
    )
    return f"SELECT {COLUMNS} FROM jobs_job WHERE {line} {_ORDER} LIMIT %s {sql.skip_locked}"


def take(starts: Sequence[Start], now: float, *, lease_seconds: float, worker: str) -> list[Claimed]:
    """Queued → running for jobs whose rows are locked, each under its lease, as begun at its time after `now`."""
    if not starts:
        return []
    sql = dialect()
    given = json.dumps([{"job": start.id.hex, "lease": start.lease_id, "at": now + start.at} for start in starts])
    taken = by_lease(rows(_take(sql), (given, lease_seconds, worker)), sql)
    return [taken[start.lease_id] for start in starts if start.lease_id in taken]


@cache
def _take(sql: Dialect) -> str:
    named = sql.given({"job": "uuid", "lease": "text", "at": "float8"}, few="lease")
    if sql.name == "postgresql":
        begins = "to_timestamp(named.at)"
    else:
        begins = "strftime('%%Y-%%m-%%d %%H:%%M:%%f', named.at, 'unixepoch')"
    change = claim_update(sql, begins) + ", held_by = NULL, held_since = NULL, held_rule = NULL"
    return change_named(named, in_state(State.QUEUED), change, claimed_columns(sql), sql)


def hold(jobs: Mapping[uuid.UUID, int], paused: Collection[int]) -> None:
    """Have queued jobs wait in the lines of these rules, some `paused`. Their messages are used up, they need none."""
    sql = dialect()
    by_rule: dict[int, list[uuid.UUID]] = {}
    for job_id, rule_id in jobs.items():
        by_rule.setdefault(rule_id, []).append(job_id)
    for rule_id, job_ids in by_rule.items():
        by = HeldBy.PAUSED if rule_id in paused else HeldBy.LIMIT
        changed(
            f"UPDATE jobs_job SET held_by = '{by}', held_rule = %s,"
            f" held_since = COALESCE(held_since, {sql.now}), dispatched_at = NULL, changed_at = {sql.now}"
            f" WHERE id {sql.is_one_of_ids} AND {in_state(State.QUEUED)}",
            (rule_id, sql.ids(job_ids)),
        )


def let_fetch(jobs: Collection[Waiting]) -> None:
    """Let jobs be fetched again whose message has brought another one; with `ledger://`, where a row is its message."""
    sql = dialect()
    changed(
        f"UPDATE jobs_job SET dispatched_at = NULL WHERE id {sql.is_one_of_ids} AND {in_state(State.QUEUED)}",
        [sql.ids(job.id for job in jobs)],
    )


def ahead_of(job_id: uuid.UUID) -> int:
    """Return how many jobs stand in line before one that does."""
    sql = dialect()
    before = (
        "one.priority > mine.priority OR one.priority = mine.priority AND (one.run_at < mine.run_at"
        " OR one.run_at = mine.run_at AND one.id < mine.id)"
    )
    [(number,)] = rows(
        "SELECT COUNT(*) FROM jobs_job AS mine JOIN jobs_job AS one ON one.held_rule = mine.held_rule"
        f" WHERE mine.id = %s AND one.state = '{State.QUEUED}' AND ({before})",
        [sql.key(job_id)],
    )
    return int(number)


def rename(rule_id: int, by: HeldBy) -> None:
    """Say anew what the jobs in a line wait for. Those whose rows others hold keep the word that they have."""
    line = f"held_rule = %s AND state = '{State.QUEUED}'"
    changed(f"UPDATE jobs_job SET held_by = %s WHERE {free(line)}", (by, rule_id))


def waiting(found: Iterable[Sequence[Any]]) -> list[Waiting]:
    """Return rows of `COLUMNS`."""
    sql = dialect()
    return [
        Waiting(
            sql.to_uuid(job_id),
            present,
            queue,
            key_of(limit_key, task, present),
            tenant,
            (-priority, run_at, str(job_id)),
            held_rule,
        )
        for job_id, task, present, queue, limit_key, tenant, priority, run_at, held_rule in found
    ]
