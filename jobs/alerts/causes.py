"""What there is to tell: the overview's verdict, dead letters by task and kind of error."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from jobs.operations.filters import DeadLetterFilter
from jobs.reports.dead_letters import Group, groups
from jobs.reports.facts import facts
from jobs.reports.verdict import DYING, GROWING_FROM, Alert, judge

#: So many kinds of errors are told of one by one.
MOST_KINDS = 5


def causes(now: datetime) -> list[Alert]:
    """Return all that is wrong now. What somebody wanted, such as a paused queue, is not."""
    verdict = judge(facts(now), now)
    found = [alert for alert in (verdict.lead, *verdict.alerts) if alert is not None and alert.grave]
    return [one for alert in found for one in _by_kind(alert, now)]


def _by_kind(alert: Alert, now: datetime) -> Iterator[Alert]:
    """Yield an alert, or in the place of dead letters that grow one for each kind of error that grows."""
    if alert.cause != DYING:
        yield alert
        return
    of_the_hour = groups(DeadLetterFilter(failed_after=now - timedelta(hours=1)))
    growing = [group for group in of_the_hour if group.count >= GROWING_FROM]
    for group in growing[:MOST_KINDS]:
        yield Alert(_cause(group), _sentence(group), "dead-letter-list", f"{group.query}&{_since(group.first_at)}")
    if not growing:
        since = min((group.first_at for group in of_the_hour), default=now)
        yield Alert(alert.cause, alert.text, "dead-letter-list", _since(since))
    elif others := growing[MOST_KINDS:]:
        kinds = "one more kind" if len(others) == 1 else f"{len(others):,} more kinds"
        text = f"{sum(group.count for group in others):,} dead letters of {kinds} in the last hour."
        yield Alert(alert.cause, text, "dead-letter-list", _since(min(group.first_at for group in others)))


def _since(first_at: datetime) -> str:
    """Return what restricts a list to the letters that are told of, and to those that follow."""
    return urlencode({"since": f"{first_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}, safe=":")


def _cause(group: Group) -> str:
    kind = hashlib.sha256(f"{group.reason}\n{group.error}".encode("utf-8", "replace")).hexdigest()[:16]
    return f"dead letters of {group.task[:200]} ({kind}) are growing"


def _sentence(group: Group) -> str:
    task = group.task or "no known task"
    letters = "dead letter" if group.count == 1 else "dead letters"
    return f"{group.count:,} {letters} of {task} in the last hour: {group.error or group.reason}"
