"""Quiet hours: a part of each day, which may go over midnight. Pure."""

from datetime import datetime, time, timedelta


def is_quiet(now: time, begins: time | None, ends: time | None) -> bool:
    """Return whether a time of day lies in quiet hours: from `begins` on, and before `ends`. Without both never."""
    if begins is None or ends is None:
        return False
    return begins <= now < ends if begins <= ends else now >= begins or now < ends


def last_quiet(now: datetime, begins: time, ends: time) -> tuple[datetime, datetime]:
    """Return when the quiet hours that ended last before `now` began and ended, in its zone."""
    until = datetime.combine(now.date(), ends, now.tzinfo)
    if until > now:
        until -= timedelta(days=1)
    since = datetime.combine(until.date(), begins, now.tzinfo)
    return (since if begins <= ends else since - timedelta(days=1)), until
