"""Groups in the ledger: their members are counted in the transactions that change these members' states."""

import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import OperationalError

from jobs.core.places import Place, place_of
from jobs.core.states import State
from jobs.ledger import lock_timeout
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import RowLocked, changed, read_json, rows

#: How long another transaction that holds a group is waited for, in milliseconds: longer than it takes to record ends.
LOCK_TIMEOUT = 500


class GroupLocked(RowLocked):
    """Raised where a group cannot be counted in now, since a transaction of somebody else's holds its row."""

    def __init__(self, group_ids: Iterable[uuid.UUID]) -> None:
        super().__init__(())
        names = ", ".join(sorted(str(group_id) for group_id in group_ids))
        self.args = (
            f"Another transaction holds one of the groups {names}; its members' ends are written when that has ended.",
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """A job's move from one state to another, as its group counts it.

    Attributes:
        root_id: of the canvas that the job is part of.
        before, after: its states; only final ones are counted.
    """

    id: uuid.UUID
    place: Place
    root_id: str
    before: State | None
    after: State | None


def move(
    job_id: uuid.UUID, options: Mapping[str, Any] | None, after: State | None, before: State | None = None
) -> list[Moved]:
    """Return the move of a job with these options; nothing where no group waits for it."""
    place = place_of(options)
    return [Moved(job_id, place, str((options or {}).get("root_id") or job_id), before, after)] if place else []


@dataclass(frozen=True, slots=True)
class Counted:
    """A group after a change of its counts.

    Attributes:
        failed: how many of its members are dead or cancelled.
        had_failed: whether all had ended before the change, and some of them were dead or cancelled.
        body, callbacks: what follows; only where all have ended, or of callbacks also where `on_progress` is one.
    """

    id: uuid.UUID
    size: int
    succeeded: int
    dead: int
    cancelled: int
    had_failed: bool
    is_followed: bool
    told_tenths: int
    outer_id: uuid.UUID | None
    outer_ways: int
    body: Mapping[str, Any] | None
    callbacks: Mapping[str, Any]
    correlation_id: str

    @property
    def has_ended(self) -> bool:
        """Whether none of its members waits or runs."""
        return self.succeeded + self.dead + self.cancelled >= self.size

    @property
    def has_failed(self) -> bool:
        """Whether all have ended, and not all of them well."""
        return self.has_ended and self.succeeded < self.size


def count(moves: Iterable[Moved]) -> list[Counted]:
    """Count moves of members, in one statement for all groups. Returns the groups whose counts changed.

    What was written in the same transaction is counted with it or not at all. Another transaction that counts in one of
    the groups meanwhile is waited for: it is about to commit.

    Raises:
        GroupLocked: one of the groups is held for longer than that. Nothing of the transaction stands then.
    """
    deltas = _deltas(moves)
    if not deltas:
        return []
    sql = dialect()
    given = json.dumps([{"job": group_id.hex, **delta} for group_id, delta in sorted(deltas.items())])
    try:
        found = rows(_count(sql), [f"{LOCK_TIMEOUT}ms", given] if sql.name == "postgresql" else [given])
    except OperationalError as exc:
        if not lock_timeout.has_passed(exc):
            raise
        raise GroupLocked(deltas) from exc
    return [_counted(row, deltas, sql) for row in found]


def lock_free(group_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Lock those of the groups that nobody else holds, and return them. Called in a transaction."""
    sql = dialect()
    found = rows(f"SELECT id FROM jobs_group WHERE id {sql.is_one_of_ids} {sql.skip_locked}", [sql.ids(group_ids)])
    return {sql.to_uuid(group_id) for (group_id,) in found}


def mark_followed(group_id: uuid.UUID) -> None:
    """Note that what follows a group's success has been enqueued."""
    sql = dialect()
    changed(f"UPDATE jobs_group SET followed_at = {sql.now} WHERE id = %s", (sql.key(group_id),))


def mark_told(group_id: uuid.UUID, tenths: int) -> None:
    """Note of which tenth of a group's members `on_progress` has been told."""
    changed("UPDATE jobs_group SET told_tenths = %s WHERE id = %s", (tenths, dialect().key(group_id)))


def results(group_id: uuid.UUID) -> list[Any]:
    """Return what the members of a group returned, in their order, as JSON has it."""
    found = rows(
        "SELECT result FROM jobs_job WHERE group_id = %s AND group_index IS NOT NULL"
        # What a member has added has its place, and comes after it.
        " ORDER BY group_index, created_at, id",
        (dialect().key(group_id),),
    )
    return [read_json(result) for (result,) in found]


def body(group_id: uuid.UUID) -> Mapping[str, Any] | None:
    """Return the body of a group; None where it has none."""
    found = rows("SELECT body FROM jobs_group WHERE id = %s", (dialect().key(group_id),))
    return read_json(found[0][0]) if found else None


def why_failed(group_id: uuid.UUID) -> str:
    """Return in Celery's words by which job a group has failed."""
    sql = dialect()
    found = rows(
        f"SELECT id, last_error FROM jobs_job WHERE group_id = %s AND state IN ('{State.DEAD}', '{State.CANCELLED}')"
        " ORDER BY group_index, id LIMIT 1",
        (sql.key(group_id),),
    )
    if not found:
        return f"Group {group_id} has failed"
    return f"Dependency {sql.to_uuid(found[0][0])} raised {found[0][1]}"


def members(job_ids: Collection[uuid.UUID], states: Collection[State]) -> dict[uuid.UUID, Moved]:
    """Return those of the jobs that belong to groups and stand in these states, locked, as they stand."""
    sql = dialect()
    found = rows(
        f"SELECT id, options, state FROM jobs_job WHERE id {sql.is_one_of_ids} AND group_id IS NOT NULL"
        f" AND state {sql.is_one_of} {sql.skip_locked}",
        [sql.ids(job_ids), sql.array(sorted(states))],
    )
    return {
        moved.id: moved
        for job_id, options, state in found
        for moved in move(sql.to_uuid(job_id), read_json(options), None, State(state))
    }


def save(group_id: uuid.UUID, saved: Any) -> None:
    """Keep what Celery's `GroupResult.save()` wants kept."""
    sql = dialect()
    changed(
        f"INSERT INTO jobs_group (id, size, saved) VALUES (%s, 0, {sql.json})"
        " ON CONFLICT (id) DO UPDATE SET saved = EXCLUDED.saved",
        (sql.key(group_id), json.dumps(saved)),
    )


def forget_saved(group_id: uuid.UUID) -> None:
    """Delete what `save` has kept."""
    changed("UPDATE jobs_group SET saved = NULL WHERE id = %s", (dialect().key(group_id),))


_NAMES = {State.SUCCEEDED: "succeeded", State.DEAD: "dead", State.CANCELLED: "cancelled"}


def _deltas(moves: Iterable[Moved]) -> dict[uuid.UUID, dict[str, int]]:
    """Return by how much the counts of each group change."""
    deltas: dict[uuid.UUID, dict[str, int]] = {}
    for moved in moves:
        place = moved.place
        delta = deltas.setdefault(place.group_id, dict.fromkeys(_NAMES.values(), 0))
        for state, sign in ((moved.before, -1), (moved.after, 1)):
            # A job that only leads to a member does no more than that by its success.
            if state in _NAMES and not (state == State.SUCCEEDED and place.index is None):
                delta[_NAMES[state]] += sign * place.ways
    return {group_id: delta for group_id, delta in deltas.items() if any(delta.values())}


@cache
def _count(sql: Dialect) -> str:
    given = sql.given({"job": "uuid", **dict.fromkeys(_NAMES.values(), "integer")})
    if sql.name == "postgresql":
        # In one order, so that two who count in the same groups do not wait for each other.
        before = f"{lock_timeout.LIMITED}, "
        given = (
            f"SELECT given.* FROM limited, ({given}) AS given"
            " JOIN jobs_group ON id = job ORDER BY id FOR NO KEY UPDATE OF jobs_group"
        )
        then = f", {lock_timeout.RESTORED}"
    else:
        before, then = "", ""
    total = " + ".join(f"jobs_group.{name} + delta.{name}" for name in _NAMES.values())
    after = {name: f"jobs_group.{name} + delta.{name}" for name in _NAMES.values()}
    return (
        f"WITH {before}delta AS MATERIALIZED ({given}) UPDATE jobs_group SET"
        f" {', '.join(f'{name} = {value}' for name, value in after.items())},"
        f" ended_at = CASE WHEN {total} >= size THEN COALESCE(ended_at, {sql.now}) END"
        " FROM delta WHERE id = delta.job"
        # Of `IS NOT NULL`, SQLite says here what it likes.
        " RETURNING id, size, jobs_group.succeeded, jobs_group.dead, jobs_group.cancelled, followed_at, told_tenths,"
        " outer_id, outer_ways, CASE WHEN jobs_group.succeeded + jobs_group.dead + jobs_group.cancelled >= size"
        f" THEN body END, callbacks, correlation_id{then}"
    )


def _counted(row: Sequence[Any], deltas: Mapping[uuid.UUID, Mapping[str, int]], sql: Dialect) -> Counted:
    group_id, size, succeeded, dead, cancelled, followed_at, told, outer_id, ways, body, callbacks, correlation = row[
        :12
    ]
    delta = deltas[sql.to_uuid(group_id)]
    before = {
        "succeeded": succeeded - delta["succeeded"],
        "dead": dead - delta["dead"],
        "cancelled": cancelled - delta["cancelled"],
    }
    return Counted(
        id=sql.to_uuid(group_id),
        size=size,
        succeeded=succeeded,
        dead=dead,
        cancelled=cancelled,
        had_failed=sum(before.values()) >= size > before["succeeded"],
        is_followed=followed_at is not None,
        told_tenths=told,
        outer_id=None if outer_id is None else sql.to_uuid(outer_id),
        outer_ways=ways,
        body=read_json(body),
        callbacks=read_json(callbacks) or {},
        correlation_id=correlation,
    )
