"""When a schedule runs: pure arithmetic on times, the same for Beat, which fires them, and for all who show them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Protocol

from celery.schedules import crontab, solar

_DAY = timedelta(days=1)

#: Astronomy finds an event again that was this short a time ago.
_SAME_EVENT = timedelta(seconds=1)


class Timing(Protocol):
    """The times of a schedule."""

    @property
    def zone(self) -> tzinfo:
        """In which people read its times."""

    def after(self, moment: datetime) -> datetime | None:
        """Return the first time after a moment, in UTC; None where none comes."""

    def starting(self, start: datetime) -> datetime | None:
        """Return the first time of a schedule that begins at `start`."""


@dataclass(frozen=True, slots=True)
class Every:
    """Again and again after as much time, whatever clocks show meanwhile."""

    period: timedelta
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        try:
            return moment.astimezone(UTC) + self.period
        except OverflowError:
            return None

    def starting(self, start: datetime) -> datetime | None:
        return start.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Once:
    """At one time."""

    at: datetime
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        return self.at if self.at > moment else None

    def starting(self, start: datetime) -> datetime | None:
        return max(self.at, start)


@dataclass(frozen=True, slots=True)
class Sun:
    """At an event of the sun, as PyEphem computes it."""

    event: str
    latitude: float
    longitude: float
    zone: tzinfo

    def after(self, moment: datetime) -> datetime | None:
        found = self._following(moment)
        return found if found > moment + _SAME_EVENT else self._following(moment + timedelta(minutes=1))

    def starting(self, start: datetime) -> datetime | None:
        return self.after(start)

    def _following(self, moment: datetime) -> datetime:
        timing = solar(self.event, self.latitude, self.longitude, nowfun=lambda: moment)
        following: datetime = moment.astimezone(UTC) + timing.remaining_estimate(moment)
        return following


@dataclass(frozen=True, slots=True)
class Cron:
    """At the times of a zone's clocks that a crontab names.

    A time that the clocks skip comes as much later as they skip. A time that they show twice comes once, as that of a
    nightly run must; but for a schedule that runs in the hours before and after it too it comes twice, so that what
    runs every quarter of an hour does not pause for an hour and a quarter.
    """

    times: tuple[tuple[int, int], ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    zone: tzinfo

    @classmethod
    def reading(cls, parsed: crontab, zone: tzinfo) -> "Cron":
        """Return the times of what Celery has parsed."""
        times = tuple((hour, minute) for hour in sorted(parsed.hour) for minute in sorted(parsed.minute))
        return cls(
            times, frozenset(parsed.day_of_month), frozenset(parsed.month_of_year), frozenset(parsed.day_of_week), zone
        )

    def after(self, moment: datetime) -> datetime | None:
        try:
            return self._on_a_steady_day(moment) or self._on_any_day(moment)
        except OverflowError:
            # The calendar ends.
            return None

    def starting(self, start: datetime) -> datetime | None:
        return self.after(start - timedelta(microseconds=1))

    def _on_a_steady_day(self, moment: datetime) -> datetime | None:
        """Return the next time of the day, where no clock is put forward or back around it."""
        local = moment.astimezone(self.zone)
        if len({(local + days * _DAY).utcoffset() for days in (-1, 0, 2)}) > 1 or not self.is_on(local.date()):
            return None
        shown = (local.hour, local.minute)
        following = next((time for time in self.times if time > shown), None)
        if following is None:
            return None
        return local.replace(hour=following[0], minute=following[1], second=0, microsecond=0, fold=0).astimezone(UTC)

    def _on_any_day(self, moment: datetime) -> datetime:
        # A time that was skipped yesterday may come today.
        day = moment.astimezone(self.zone).date() - _DAY
        while True:
            # Of two days, since one's skipped times may come after the other's first.
            found = [at for near in (day, day + _DAY) for at in _of_day(self, near) if at > moment]
            if found:
                return min(found)
            day = day + _DAY if day.month in self.months else _next_month(day)

    def is_on(self, day: date) -> bool:
        """Return whether it runs on a day."""
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays


@lru_cache(maxsize=64)
def _of_day(cron: Cron, day: date) -> tuple[datetime, ...]:
    """Return the times that the clocks of a day show, skip, or show again. Kept: who asks for one asks for the next."""
    return tuple(_times(cron, day)) if cron.is_on(day) else ()


def _times(cron: Cron, day: date) -> Iterator[datetime]:
    hours = {hour for hour, _ in cron.times}
    for hour, minute in cron.times:
        wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=cron.zone)
        first, second = wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)
        yield first
        if second > first and {(hour - 1) % 24, (hour + 1) % 24} <= hours:
            yield second


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
