"""One group: its members by state, how far it is, what follows, and what can be done with all of them."""

import uuid

from django.http import Http404, HttpRequest, HttpResponse

from jobs.core.states import State
from jobs.dashboard.access import page
from jobs.dashboard.pages import show
from jobs.models import Job
from jobs.operations import search
from jobs.reports.groups import members, report

#: Members that are shown: the first ones that died, and the first of all.
SHOWN = 10


@page
def group(request: HttpRequest, group_id: uuid.UUID) -> HttpResponse:
    """Show the page of a group."""
    found = report(group_id)
    if found is None:
        raise Http404("There is no such group: it was deleted after its retention, or never committed.")
    there = members(group_id)
    return show(
        request,
        "group",
        "jobs",
        events=f"/api/events?group={group_id}&ticks=1",
        group=found.group,
        report=found,
        tabs=[(state, number, _line(group_id, state)) for state, number in found.states.items()],
        every=_line(group_id),
        that_died=_line(group_id, State.DEAD, State.CANCELLED),
        not_ended=_line(group_id, State.SCHEDULED, State.QUEUED, State.RUNNING, State.RETRYING),
        may_cancel=found.group.waiting > 0,
        died=Job.objects.filter(group_id=group_id, state__in=[State.DEAD, State.CANCELLED]).defer("result")[:SHOWN],
        first=there[:SHOWN],
        parent=Job.objects.filter(pk=found.group.parent_id).first() if found.group.parent_id else None,
        body=Job.objects.filter(pk=found.group.body_id).first() if found.group.body_id else None,
    )


def _line(group_id: uuid.UUID, *states: State) -> str:
    """Return the search line for members in these states."""
    terms = [("group", str(group_id))]
    return search.line([*terms, ("state", ",".join(states))] if states else terms)
