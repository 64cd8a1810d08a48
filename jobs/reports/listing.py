"""The newest jobs that match, found in a bounded time: what no index answers is looked for from the newest job back.

A page says how far back it looked, and its cursor goes on from there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.core.states import State
from jobs.models import Job
from jobs.operations import paging
from jobs.operations.filters import JobFilter

#: How many jobs are looked at in the first statement, mostly all that is needed; and at most in each further one.
FIRST_REACH, REACH = 5_000, 100_000

#: Fewer are not worth a statement.
LEAST_REACH = 1_000


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of jobs.

    Attributes:
        next_cursor: of the page after it; None where there is none.
        reached: back to when was looked, where time ran out before the page was full; None otherwise.
    """

    rows: Sequence[Job]
    next_cursor: str | None
    reached: datetime | None = None


def newest(selection: JobFilter, *, limit: int, cursor: str = "", seconds: float) -> Listing:
    """Return a page of the jobs that match, the newest first, after about `seconds` at the latest.

    It has fewer than `limit` where their arguments are large (`paging.PAGE_BYTES`).

    Raises:
        jobs.operations.paging.InvalidCursor: `cursor` is not one that a page has given out.
    """
    if is_indexed(selection):
        page = paging.page(selection.jobs(), "created_at", limit=limit, cursor=cursor)
        return Listing(page.rows, page.next_cursor)
    return _looked_for(selection, limit, cursor, seconds)


def is_indexed(selection: JobFilter) -> bool:
    """Return whether an index leads to what matches, or next to everything matches."""
    if selection.ids or selection.parent_id or selection.correlation_id:
        return True
    searched = selection.text or selection.kwargs or selection.error or selection.queue or selection.task
    return not searched and State.SUCCEEDED not in selection.states[1:]


def _looked_for(selection: JobFilter, limit: int, cursor: str, seconds: float) -> Listing:
    began = time.monotonic()
    found: list[Job] = []
    candidates, reach, looked_at, left = selection.candidates(), FIRST_REACH, 0, paging.PAGE_BYTES
    while True:
        bottom = paging.mark(candidates, "created_at", cursor=cursor, offset=reach)
        rows = selection.jobs() if bottom is None else paging.down_to(selection.jobs(), "created_at", bottom)
        page = paging.page(rows, "created_at", limit=limit - len(found), cursor=cursor, most_bytes=left)
        found += page.rows
        left -= page.size
        if page.next_cursor is not None or bottom is None:
            return Listing(found, page.next_cursor)
        cursor = bottom
        if len(found) == limit or left <= 0:
            return Listing(found, cursor)
        looked_at += reach
        spent = time.monotonic() - began
        # As many as the time that is left will do for, by the pace so far.
        affordable = int(looked_at / spent * (seconds - spent))
        if affordable < LEAST_REACH:
            return Listing(found, cursor, reached=paging.moment_of(bottom))
        reach = min(REACH, affordable)
