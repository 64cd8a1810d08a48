"""The list of jobs: what the search line asks for, the newest first."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from jobs.core.states import State
from jobs.dashboard.access import page
from jobs.dashboard.pages import query, show
from jobs.operations import search
from jobs.operations.paging import InvalidCursor
from jobs.reports import counts
from jobs.reports.listing import Listing, is_indexed, newest
from jobs.reports.remembered import remembered

#: Jobs on a page, and how long a page looks for what no index answers.
PAGE, LOOK_SECONDS = 50, 0.05


@page
def jobs(request: HttpRequest) -> HttpResponse:
    """Show a page of the list."""
    asked = search.parse(request.GET.get("q", "")[:1000], timezone.now())
    cursor = request.GET.get("after", "")
    try:
        listing = _listing(asked, cursor)
    except InvalidCursor:
        messages.error(request, "That page of the list is not there any more; this is its beginning.")
        return redirect(f"{request.path}?{query(q=str(asked))}")
    return show(
        request,
        "jobs",
        "jobs",
        events=f"/api/events?{query(queue=asked.filter.queue, task=asked.filter.task)}",
        search=asked,
        cursor=cursor,
        listing=listing,
        tabs=_tabs(asked),
        count=_count(asked, listing, cursor),
        next_query=query(q=str(asked), after=listing.next_cursor or ""),
        first_query=query(q=str(asked)),
        everything=not asked.terms,
        all_dead=asked.filter.states == (State.DEAD,),
    )


def _listing(asked: search.Search, cursor: str) -> Listing:
    if asked.problems:
        return Listing((), None)
    return newest(asked.filter, limit=PAGE, cursor=cursor, seconds=LOOK_SECONDS)


def _tabs(asked: search.Search) -> list[dict[str, object]]:
    """Return the states to choose from, with their counts where nothing else is asked for."""
    alone = not any(term.name != "state" for term in asked.terms)
    numbers = remembered("counts", 2.0, counts.by_state) if alone else {}
    chosen = asked.filter.states
    tabs: list[dict[str, object]] = [{"label": "All", "query": query(q=asked.having("state")), "here": not chosen}]
    for state in State:
        here = chosen == (state,)
        leads = query(q=asked.having("state", state.value))
        tabs.append({"state": state, "label": state.value, "query": leads, "here": here, "count": numbers.get(state)})
    return tabs


def _count(asked: search.Search, listing: Listing, cursor: str) -> counts.Count | None:
    """Return how many match; None where nobody can say without looking at every job."""
    if asked.problems:
        return counts.Count(0)
    if not cursor and listing.next_cursor is None:
        return counts.Count(len(listing.rows))
    if not is_indexed(asked.filter):
        return None
    return counts.count(asked.filter.jobs())
