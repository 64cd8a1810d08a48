"""`/api/flow/breakers`."""

from typing import Annotated, Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Body, Router

from jobs.api.schemas.flow import BreakerDetail, BreakerList, BreakerOut, BreakerRef, Why
from jobs.operations import breakers as operations
from jobs.operations.access import OPERATE, READ, caller_of
from jobs.operations.problems import missing
from jobs.operations.tokens import Scope
from jobs.reports import breakers
from jobs.reports.breakers import BreakerReport
from jobs.reports.flow_json import breaker_json, change_json

router = Router(tags=["flow"])


@router.get("/breakers", response=BreakerList, auth=READ, summary="List circuit breakers")
def list_breakers(request: HttpRequest) -> Any:
    """Return the circuit breaker of every dependency that a task names: how it stands, and what waits for it."""
    now = timezone.now()
    return {"breakers": [breaker_json(one, now) for one in breakers.every()]}


@router.get("/breakers/{name}", response=BreakerDetail, auth=READ, summary="Show a circuit breaker")
def show_breaker(request: HttpRequest, name: str) -> Any:
    """Return a circuit breaker, with the latest times that it opened and closed."""
    found = _breaker(name)
    return {**breaker_json(found, timezone.now()), "history": [change_json(one) for one in breakers.history(name)]}


@router.post("/breakers/{name}/open", response=BreakerOut | BreakerRef, auth=OPERATE, summary="Open a circuit breaker")
def open_breaker(request: HttpRequest, name: str, why: Annotated[Why | None, Body()] = None) -> Any:
    """Hold back all jobs that need the dependency until the breaker is closed; none probes. What runs goes on."""
    _breaker(name)
    operations.open_breaker(name, actor=caller_of(request).name, reason=why.reason if why else "")
    return _shown_to(request, _breaker(name))


@router.post(
    "/breakers/{name}/close", response=BreakerOut | BreakerRef, auth=OPERATE, summary="Close a circuit breaker"
)
def close_breaker(request: HttpRequest, name: str, why: Annotated[Why | None, Body()] = None) -> Any:
    """Let the jobs that it holds back go on, and count failures anew."""
    _breaker(name)
    operations.close_breaker(name, actor=caller_of(request).name, reason=why.reason if why else "")
    return _shown_to(request, _breaker(name))


def _shown_to(request: HttpRequest, breaker: BreakerReport) -> dict[str, Any]:
    """Return of a breaker what the caller may see."""
    if Scope.READ in caller_of(request).scopes:
        return breaker_json(breaker, timezone.now())
    return {"name": breaker.name, "state": breaker.status.state.value}


def _breaker(name: str) -> BreakerReport:
    found = breakers.find(name)
    if found is None:
        raise missing("breaker", repr(name), "GET /api/flow/breakers lists them.")
    return found
