"""Looks for what is wrong, opens and resolves incidents, and has their targets told: at most once a cause and hour.

Every worker does this duty, and of many one looks at a time. What comes and goes within half a minute, as at a deploy,
is told to nobody.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from jobs.alerts.causes import causes
from jobs.alerts.messages import Event
from jobs.alerts.quiet import is_quiet, last_quiet
from jobs.alerts.tasks import alert
from jobs.models import AlertNotice, AlertTarget, AlertWatch, Incident
from jobs.reports.verdict import Alert

#: Seconds between two looks.
EVERY = 15.0

#: An incident is told once it has lasted so long, and resolved once nobody has seen it for so long.
TOLD_AFTER, RESOLVED_AFTER = timedelta(seconds=30), timedelta(seconds=60)

#: One target hears of one cause no sooner again.
AGAIN_AFTER = timedelta(hours=1)

#: Under this id the watch has its one row.
_ROW = 1


def look() -> bool:
    """Look, where it is time and nobody else does; does nothing where nobody is to be told. Returns false."""
    targets = list(AlertTarget.objects.filter(enabled=True))
    now = timezone.now()
    if targets and _is_our_turn(now):
        settle(causes(now), targets, now)
    return False


def settle(found: Sequence[Alert], targets: Sequence[AlertTarget], now: datetime) -> None:
    """Bring incidents to what was found, and have targets told what they have not been."""
    local = now.astimezone(ZoneInfo(settings.CRON_TIMEZONE))
    with transaction.atomic():
        _settle_incidents(found, now)
        for target in targets:
            if not is_quiet(local.time(), target.quiet_from, target.quiet_until):
                _tell_of_new(target, now)
                _tell_of_ended(target, now)
                _tell_of_passed(target, local)


def _is_our_turn(now: datetime) -> bool:
    before = now - timedelta(seconds=EVERY * 0.9)
    if AlertWatch.objects.filter(pk=_ROW, looked_at__lte=before).update(looked_at=now):
        return True
    return not AlertWatch.objects.filter(pk=_ROW).exists() and _is_first(now)


def _is_first(now: datetime) -> bool:
    made = AlertWatch.objects.bulk_create([AlertWatch(pk=_ROW, looked_at=now)], ignore_conflicts=True)
    # Of several who make it at once, all but one find another's time there.
    return AlertWatch.objects.filter(pk=_ROW, looked_at=made[0].looked_at).exists()


def _settle_incidents(found: Iterable[Alert], now: datetime) -> None:
    open_ones = {one.cause: one for one in Incident.objects.select_for_update().filter(resolved_at=None)}
    for cause in found:
        known = open_ones.pop(cause.cause, None)
        if known is None:
            where = {"room": cause.room, "query": cause.query}
            Incident.objects.create(cause=cause.cause, text=cause.text, opened_at=now, seen_at=now, **where)
        else:
            # Where to look stays as it was at the beginning, from which its dead letters are meant.
            Incident.objects.filter(pk=known.pk).update(text=cause.text, seen_at=now)
    gone = [one.pk for one in open_ones.values() if now - one.seen_at >= RESOLVED_AFTER]
    Incident.objects.filter(pk__in=gone).update(resolved_at=now)


def _tell_of_new(target: AlertTarget, now: datetime) -> None:
    # One that was not seen by this very look may be about to be resolved.
    lasting = Incident.objects.filter(resolved_at=None, seen_at=now, opened_at__lte=now - TOLD_AFTER)
    for incident in _untold(lasting, target, now):
        notice = AlertNotice.objects.create(target=target, incident=incident, created_at=now)
        alert.delay(notice.pk, Event.RAISED.value)


def _tell_of_ended(target: AlertTarget, now: datetime) -> None:
    ended = AlertNotice.objects.filter(
        target=target, told_at__isnull=False, ended_at=None, incident__resolved_at__isnull=False
    )
    for notice in ended.order_by("pk"):
        AlertNotice.objects.filter(pk=notice.pk).update(ended_at=now)
        alert.delay(notice.pk, Event.RESOLVED.value)


def _tell_of_passed(target: AlertTarget, now: datetime) -> None:
    """Tell what came and went within the quiet hours that have just ended: of each cause the latest, as resolved."""
    if target.quiet_from is None or target.quiet_until is None:
        return
    since, until = last_quiet(now, target.quiet_from, target.quiet_until)
    if now - until >= AGAIN_AFTER:
        return
    passed = Incident.objects.filter(
        opened_at__range=(since - TOLD_AFTER, until - TOLD_AFTER),
        seen_at__gte=F("opened_at") + TOLD_AFTER,
        resolved_at__isnull=False,
    )
    for incident in {one.cause: one for one in _untold(passed, target, now)}.values():
        notice = AlertNotice.objects.create(target=target, incident=incident, created_at=now, ended_at=now)
        alert.delay(notice.pk, Event.RESOLVED.value)


def _untold(incidents: QuerySet[Incident], target: AlertTarget, now: datetime) -> QuerySet[Incident]:
    """Return those of which a target has not heard, nor of their cause within the last hour, the earliest first."""
    lately = AlertNotice.objects.filter(target=target, created_at__gt=now - AGAIN_AFTER)
    untold = incidents.exclude(notices__target=target).exclude(cause__in=lately.values("incident__cause"))
    return untold.order_by("opened_at", "pk")
