"""`/api/flow`: limits, pauses and weights of tasks, queues, keys and tenants."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Body, Router

from jobs.api.schemas.limits import LimitIn, PauseIn, RuleList, RuleOut, RuleRef, TrialIn, WeightIn, WhatIfOut
from jobs.core.limits import Kind
from jobs.errors import InvalidRule
from jobs.operations import flow
from jobs.operations.access import OPERATE, READ, caller_of
from jobs.operations.problems import Problem
from jobs.operations.tokens import Scope
from jobs.reports.flow import rules
from jobs.reports.report_json import rule_json
from jobs.reports.what_if import what_if

router = Router(tags=["flow"])


@router.get("", response=RuleList, auth=READ, summary="List limits, pauses and weights")
def list_rules(request: HttpRequest) -> Any:
    """Return every limit, pause and tenant's weight, how many run under it, and how many wait for it."""
    return {"rules": [rule_json(rule) for rule in rules()]}


@router.put("/{kind}/{path:name}/limit", response=RuleOut | RuleRef, auth=OPERATE, summary="Set a limit")
def set_limit(request: HttpRequest, kind: Kind, name: str, limit: Annotated[LimitIn, Body()]) -> Any:
    """Limit a task, queue, key or tenant on all workers, whatever its declaration says, until that is reset."""
    figures = {"rate": limit.rate, "burst": limit.burst, "concurrency": limit.concurrency}
    return _changed(request, kind, name, flow.set_limit, **figures)


@router.put("/tenant/{path:name}/weight", response=RuleOut | RuleRef, auth=OPERATE, summary="Weigh a tenant")
def set_weight(request: HttpRequest, name: str, body: Annotated[WeightIn, Body()]) -> Any:
    """Let a tenant have so many turns in each queue for every one of a tenant that nobody has weighed."""

    def change(kind: Kind, tenant: str, *, actor: str) -> None:
        flow.set_weight(tenant, body.weight, actor=actor)

    return _changed(request, Kind.TENANT, name, change)


@router.post("/{kind}/{path:name}/try", response=WhatIfOut, auth=READ, summary="Try a limit on the past")
def try_limit(request: HttpRequest, kind: Kind, name: str, limit: Annotated[TrialIn, Body()]) -> Any:
    """Return what a limit would have done to the jobs that have ended in the last hours. Nothing is changed."""
    try:
        name = flow.name_of(kind, name)
        figures = flow.limit_of(limit.rate, limit.burst, limit.concurrency)
    except InvalidRule as exc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)) from exc
    return what_if(kind, name, figures, timezone.now() - timedelta(hours=limit.hours)).as_json()


@router.delete("/{kind}/{path:name}/limit", response=RuleOut | RuleRef, auth=OPERATE, summary="Reset a limit")
def reset_limit(request: HttpRequest, kind: Kind, name: str) -> Any:
    """Let a limit be again what code and settings say."""
    return _changed(request, kind, name, flow.reset_limit)


@router.post("/{kind}/{path:name}/pause", response=RuleOut | RuleRef, auth=OPERATE, summary="Pause")
def pause(request: HttpRequest, kind: Kind, name: str, body: Annotated[PauseIn | None, Body()] = None) -> Any:
    """Let no job of a task, queue, key or tenant begin until it is resumed, or until a time; what runs goes on."""
    said = body or PauseIn()
    return _changed(request, kind, name, flow.pause, reason=said.reason, until=said.until)


@router.post("/{kind}/{path:name}/resume", response=RuleOut | RuleRef, auth=OPERATE, summary="Resume")
def resume(request: HttpRequest, kind: Kind, name: str) -> Any:
    """Let jobs begin again that a pause kept from it."""
    return _changed(request, kind, name, flow.resume)


def _changed(request: HttpRequest, kind: Kind, name: str, change: Any, **said: Any) -> Any:
    try:
        name = flow.name_of(kind, name)
        change(kind, name, actor=caller_of(request).name, **said)
    except InvalidRule as exc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)) from exc
    if Scope.READ in caller_of(request).scopes:
        for rule in rules():
            if (rule.kind, rule.name) == (kind, name):
                return rule_json(rule)
    return {"kind": kind, "name": name}
