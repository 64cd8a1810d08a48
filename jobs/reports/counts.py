"""Counting rows of a large table: exactly while they are few, by the planner's estimate where they are many."""

import json
from dataclasses import dataclass
from typing import TypeVar

from django.db import connection
from django.db.models import Model, QuerySet

from jobs.core.states import State
from jobs.models import Job

M = TypeVar("M", bound=Model)

#: Up to here a count is exact on every database.
EXACT_UP_TO = 10_000


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are, and whether that is exact or an estimate."""

    value: int
    exact: bool = True


def count(rows: QuerySet[M]) -> Count:
    """Count rows."""
    rows = rows.order_by()
    if connection.vendor != "postgresql":
        return Count(rows.count())
    # Django would drop a slice of all columns to a bare LIMIT inside of the count: nothing beyond it is read.
    found = rows.values("pk")[: EXACT_UP_TO + 1].count()
    if found <= EXACT_UP_TO:
        return Count(found)
    plan = json.loads(rows.values("pk").explain(format="json"))
    return Count(max(found, int(plan[0]["Plan"]["Plan Rows"])), exact=False)


def by_state() -> dict[State, Count]:
    """Return how many jobs are in each state."""
    return {state: count(Job.objects.filter(state=state)) for state in State}
