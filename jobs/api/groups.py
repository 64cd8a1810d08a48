"""`/api/groups`: how a group of jobs stands; retry what died, cancel the rest."""

import uuid
from typing import Any

from django.http import HttpRequest
from ninja import Router

from jobs.api.schemas.groups import GroupActionOut, GroupOut
from jobs.operations import actions
from jobs.operations.access import OPERATE, READ, caller_of
from jobs.operations.bulk import Result
from jobs.operations.groups import not_ended, that_died
from jobs.operations.problems import missing
from jobs.reports.groups import report
from jobs.reports.report_json import group_json

router = Router(tags=["groups"])


@router.get("/{uuid:group_id}", response=GroupOut, auth=READ, summary="Show a group")
def show_group(request: HttpRequest, group_id: uuid.UUID) -> Any:
    """Return a group of jobs with its members by state. `/api/jobs?group_id=` lists them."""
    found = report(group_id)
    if found is None:
        raise missing("group", group_id)
    return group_json(found)


@router.post("/{uuid:group_id}/retry", response=GroupActionOut, auth=OPERATE, summary="Retry what died")
def retry_group(request: HttpRequest, group_id: uuid.UUID) -> Any:
    """Put all members that are dead or cancelled into their queues again: the group waits for them anew."""
    _check(group_id)
    return _told(actions.retry_jobs(that_died(group_id), actor=caller_of(request).name))


@router.post("/{uuid:group_id}/cancel", response=GroupActionOut, auth=OPERATE, summary="Cancel what has not ended")
def cancel_group(request: HttpRequest, group_id: uuid.UUID) -> Any:
    """Cancel all members that have not ended. Running ones are ended by their workers within a moment."""
    _check(group_id)
    return _told(actions.cancel_jobs(not_ended(group_id), actor=caller_of(request).name))


def _check(group_id: uuid.UUID) -> None:
    if report(group_id) is None:
        raise missing("group", group_id)


def _told(result: Result) -> dict[str, int]:
    return {"matched": result.matched, "changed": result.changed, "left": result.left}
