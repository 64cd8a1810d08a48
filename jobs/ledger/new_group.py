"""Groups come into the ledger, and get more members while not all of them have ended."""

import json
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from jobs.core.places import Place
from jobs.ledger.dialect import dialect
from jobs.ledger.sql import changed, read_json, rows


class NewGroup(NamedTuple):
    """A group to be written. `body` and `callbacks` are ready for JSON; None where there is nothing."""

    id: uuid.UUID
    size: int
    body: Mapping[str, Any] | None = None
    body_id: uuid.UUID | None = None
    callbacks: Mapping[str, Any] | None = None
    outer: Place | None = None
    parent_id: uuid.UUID | None = None
    correlation_id: str = ""


def create(group: NewGroup) -> bool:
    """Write a group in the caller's transaction. Returns false where there is one with this id."""
    sql = dialect()
    return (
        changed(
            "INSERT INTO jobs_group (id, size, body, body_id, callbacks, outer_id, outer_ways, parent_id,"
            f" correlation_id) VALUES (%s, %s, {sql.json}, %s, {sql.json}, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
            (
                sql.key(group.id),
                group.size,
                None if group.body is None else json.dumps(group.body),
                sql.key(group.body_id),
                None if group.callbacks is None else json.dumps(group.callbacks),
                sql.key(group.outer.group_id if group.outer else None),
                group.outer.ways if group.outer else 0,
                sql.key(group.parent_id),
                group.correlation_id,
            ),
        )
        == 1
    )


class Grown(NamedTuple):
    """A group that has got members: the index of the first of them, and the group's body."""

    first: int
    body: Mapping[str, Any] | None


def grow(group_id: uuid.UUID, by: int) -> Grown | None:
    """Add so many members to a group of which not all have ended.

    Returns:
        None where there is no such group, or all of its members have ended.
    """
    found = rows(
        "UPDATE jobs_group SET size = size + %s WHERE id = %s AND ended_at IS NULL RETURNING size, body",
        (by, dialect().key(group_id)),
    )
    return Grown(found[0][0] - by, read_json(found[0][1])) if found else None
