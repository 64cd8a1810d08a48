"""`/api/webhooks`: make, change and delete webhooks; their deliveries; tests."""

from http import HTTPStatus
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Query, Router, Status

from jobs.api.jobs import refuse_unknown, turned
from jobs.api.schemas.jobs import ActionOut
from jobs.api.schemas.webhooks import (
    DeliveryPage,
    DeliveryQuery,
    RedeliverIn,
    TestOut,
    WebhookChange,
    WebhookIn,
    WebhookList,
    WebhookMade,
    WebhookOut,
)
from jobs.core.states import State
from jobs.errors import InvalidWebhook
from jobs.models import Webhook
from jobs.operations import webhooks as operations
from jobs.operations.access import OPERATE, READ, caller_of
from jobs.operations.problems import FieldError, Problem, missing, refused
from jobs.operations.result_json import result_json
from jobs.operations.tokens import Scope
from jobs.reports.webhooks import delivery_json, report, reports, webhook_json

router = Router(tags=["webhooks"])

#: The largest number that a row can have.
_LARGEST = 2**63 - 1


@router.get("", response=WebhookList, auth=READ, summary="List webhooks")
def list_webhooks(request: HttpRequest) -> Any:
    """Return every webhook, and how it fares."""
    return {"webhooks": [webhook_json(one) for one in reports()]}


@router.post("", response={201: WebhookMade}, auth=OPERATE, summary="Make a webhook")
def make_webhook(request: HttpRequest, body: Annotated[WebhookIn, Body()]) -> Any:
    """Have an address told what becomes of jobs. The answer has its secret, which nothing shows again.

    As it is told of jobs, this takes the scope `read` as well.
    """
    _require_read(request)
    try:
        webhook = operations.create(body.model_dump(), actor=caller_of(request).name)
    except InvalidWebhook as exc:
        raise _refused(exc) from exc
    return Status(HTTPStatus.CREATED, _with_secret(webhook))


@router.get("/{int:webhook_id}", response=WebhookOut, auth=READ, summary="Show a webhook")
def show_webhook(request: HttpRequest, webhook_id: int) -> Any:
    """Return a webhook, and how it fares."""
    return webhook_json(report(_webhook(webhook_id)))


@router.patch("/{int:webhook_id}", response=WebhookOut, auth=OPERATE, summary="Change a webhook")
def change_webhook(request: HttpRequest, webhook_id: int, body: Annotated[WebhookChange, Body()]) -> Any:
    """Change what is given. It takes effect within a second. Takes the scope `read` as well."""
    _require_read(request)
    webhook = _webhook(webhook_id)
    try:
        operations.change(webhook, body.model_dump(exclude_none=True), actor=caller_of(request).name)
    except InvalidWebhook as exc:
        raise _refused(exc) from exc
    return webhook_json(report(webhook))


@router.post("/{int:webhook_id}/secret", response=WebhookMade, auth=OPERATE, summary="Make a new secret")
def renew_secret(request: HttpRequest, webhook_id: int) -> Any:
    """Sign by a new secret from now on. The answer has it. Takes the scope `read` as well."""
    _require_read(request)
    webhook = _webhook(webhook_id)
    operations.change(webhook, {}, actor=caller_of(request).name, renews_secret=True)
    return _with_secret(webhook)


@router.delete("/{int:webhook_id}", response={204: None}, auth=OPERATE, summary="Delete a webhook")
def delete_webhook(request: HttpRequest, webhook_id: int) -> Any:
    """Delete a webhook and its deliveries; what waits to be delivered is cancelled."""
    operations.delete(_webhook(webhook_id), actor=caller_of(request).name)
    return Status(HTTPStatus.NO_CONTENT, None)


@router.get("/{int:webhook_id}/deliveries", response=DeliveryPage, auth=READ, summary="List deliveries")
def list_deliveries(request: HttpRequest, webhook_id: int, query: Annotated[DeliveryQuery, Query()]) -> Any:
    """Return what a webhook was told, the latest first."""
    refuse_unknown(request, query)
    found = turned(operations.deliveries(_webhook(webhook_id), query.state), "created_at", query)
    return {"deliveries": [delivery_json(job) for job in found.rows], "next_cursor": found.next_cursor}


@router.post(
    "/{int:webhook_id}/redeliver", response=ActionOut, exclude_unset=True, auth=OPERATE, summary="Deliver again"
)
def redeliver(request: HttpRequest, webhook_id: int, body: Annotated[RedeliverIn | None, Body()] = None) -> Any:
    """Deliver again what is named, or else all that died. Each event keeps its id."""
    said = body or RedeliverIn()
    result = operations.redeliver(
        _webhook(webhook_id),
        actor=caller_of(request).name,
        ids=said.ids,
        states=[State(state) for state in said.states],
        dry_run=said.dry_run,
    )
    return result_json(result, dry_run=said.dry_run)


@router.post("/{int:webhook_id}/test", response=TestOut, auth=OPERATE, summary="Send a test")
def send_test(request: HttpRequest, webhook_id: int) -> Any:
    """Have a webhook told that this is a test, once, whether it is enabled or not."""
    return {"job_id": operations.send_test(_webhook(webhook_id), actor=caller_of(request).name)}


def _require_read(request: HttpRequest) -> None:
    caller_of(request).require(Scope.READ, "A webhook, which is told of jobs,")


def _with_secret(webhook: Webhook) -> dict[str, Any]:
    return {**webhook_json(report(webhook)), "secret": webhook.secret}


def _webhook(webhook_id: int) -> Webhook:
    found = Webhook.objects.filter(pk=webhook_id).first() if webhook_id <= _LARGEST else None
    if found is None:
        raise missing("webhook", webhook_id, "GET /api/webhooks lists them.")
    return found


def _refused(exc: InvalidWebhook) -> Problem:
    # Without the value: a URL may hold a secret.
    return refused([FieldError(field=exc.field, value=None, rule=str(exc))])
