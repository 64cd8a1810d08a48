"""Which members of a group an action concerns: the same in every interface."""

import uuid

from jobs.core.states import FINAL, State
from jobs.operations.filters import JobFilter


def that_died(group_id: uuid.UUID) -> JobFilter:
    """Return the filter for members that are dead or cancelled."""
    return JobFilter(group_id=group_id, states=(State.DEAD, State.CANCELLED))


def not_ended(group_id: uuid.UUID) -> JobFilter:
    """Return the filter for members that have not ended."""
    return JobFilter(group_id=group_id, states=tuple(state for state in State if state not in FINAL))
