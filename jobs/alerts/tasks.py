"""The jobs that tell: each a row like any other, tried again while the other side is away."""

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from jobs.alerts.channels import channel_of
from jobs.alerts.messages import AlertMessage, Event
from jobs.alerts.webhooks import send_signed
from jobs.errors import Cancel, Permanent
from jobs.models import AlertNotice, AlertTarget
from jobs.tasks.declare import job
from jobs.webhooks.client import as_outcome

#: What nobody could be told within a day is told to nobody: it would only confuse.
EXPIRES_SECONDS = 86_400


@job(
    name="jobs.alert",
    queue="maintenance",
    priority=8,
    max_retries=30,
    retry_backoff_max=600,
    soft_time_limit=40,
    time_limit=60,
    expires=EXPIRES_SECONDS,
)
def alert(notice_id: int, event: str) -> str:
    """Tell one target of one incident, or of its end; return whom."""
    notice = AlertNotice.objects.select_related("target", "incident").filter(pk=notice_id).first()
    if notice is None or not notice.target.enabled:
        raise Cancel("The target was deleted or switched off meanwhile.")
    raised = Event(event) is Event.RAISED
    if raised and notice.told_at is not None:
        return f"{notice.target.name} was told before"
    if raised and notice.incident.resolved_at is not None:
        raise Cancel("It was resolved before anybody could be told.")
    with as_outcome():
        _send(notice.target, _message(notice, Event(event)))
    AlertNotice.objects.filter(pk=notice.pk, told_at=None).update(told_at=timezone.now())
    return f"told {notice.target.name}"


@job(name="jobs.alert_test", queue="maintenance", priority=8, max_retries=0, soft_time_limit=40, time_limit=60)
def send_test(target_id: int) -> str:
    """Tell a target that this is a test; return whom."""
    target = AlertTarget.objects.filter(pk=target_id).first()
    if target is None:
        raise Cancel("The target was deleted meanwhile.")
    now = timezone.now()
    text = "this message was asked for in the admin, and nothing is wrong."
    message = AlertMessage(
        f"test-{target.pk}-{now.timestamp():.0f}",
        Event.TEST,
        settings.PROJECT_NAME,
        "test",
        text,
        _url("overview"),
        now,
    )
    with as_outcome():
        _send(target, message)
    return f"told {target.name}"


def _send(target: AlertTarget, message: AlertMessage) -> None:
    if target.kind == AlertTarget.Kind.WEBHOOK:
        send_signed(target.address, target.secret, message)
        return
    channel = channel_of(target.kind)
    if channel is None:
        raise Permanent(f"No app sends alerts by {target.kind}.")
    channel(target.address, message)


def _message(notice: AlertNotice, event: Event) -> AlertMessage:
    incident = notice.incident
    return AlertMessage(
        key=f"alert-{notice.pk}-{event.value.rpartition('.')[2]}",
        event=event,
        site=settings.PROJECT_NAME,
        cause=incident.cause,
        text=incident.text,
        url=_url(incident.room, incident.query),
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at if event is Event.RESOLVED else None,
    )


def _url(room: str, query: str = "") -> str:
    return f"{settings.FRONTEND_HOST}{reverse(f'jobs:{room}')}{f'?{query}' if query else ''}"
