"""The times of schedules, held against the clocks of the zones themselves."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from celery.schedules import crontab
from hypothesis import example, given, settings as bounds, strategies as st

from jobs.schedules.times import Cron, Every, Once, Sun

MINUTE = timedelta(minutes=1)


def cron(expression: str, zone: str) -> Cron:
    return Cron.reading(crontab.from_string(expression), ZoneInfo(zone))


def times(timing: Cron | Every | Sun, after: datetime, before: datetime) -> list[datetime]:
    found, moment = [], timing.after(after)
    while moment is not None and moment < before:
        found.append(moment)
        moment = timing.after(moment)
    return found


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# A model: somebody who looks at the clock of a zone every minute.


def shown(clock: datetime) -> datetime:
    return clock.replace(tzinfo=None, fold=0)


def looked_at(timing: Cron, after: datetime, before: datetime) -> Iterator[datetime]:
    """Return the times at which the clock shows what the crontab names, or would have but for a leap forward."""
    now = after.replace(second=0, microsecond=0) - timedelta(days=2)
    last, seen, owed = shown(now.astimezone(timing.zone)), set[datetime](), set[datetime]()
    while now < before:
        now += MINUTE
        clock = shown(now.astimezone(timing.zone))
        skipped = [last + minutes * MINUTE for minutes in range(1, (clock - last) // MINUTE)]
        owed |= {now + (wall - skipped[0]) for wall in skipped if names(timing, wall)}
        if names(timing, clock) and (clock not in seen or goes_on(timing, clock)):
            owed.add(now)
        seen.add(clock)
        last = clock
        if now in owed and after < now < before:
            yield now


def names(timing: Cron, wall: datetime) -> bool:
    on = wall.month in timing.months and wall.day in timing.days and wall.isoweekday() % 7 in timing.weekdays
    return on and (wall.hour, wall.minute) in timing.times


def goes_on(timing: Cron, wall: datetime) -> bool:
    around = {(wall + hours * timedelta(hours=1)).hour for hours in (-1, 1)}
    return around <= {hour for hour, _ in timing.times}


#: Their clocks are put by an hour, by half an hour, at midnight; are off by 30 or 45 minutes; skipped a day.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Pacific/Chatham",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Pacific/Apia",
]

#: Around which something happens somewhere.
DAYS = [
    utc(day)
    for day in (
        "2011-12-30", "2026-02-15", "2026-02-28", "2026-03-08", "2026-03-22", "2026-03-29", "2026-04-05", "2026-04-30",
        "2026-09-27", "2026-10-04", "2026-10-25", "2026-11-01", "2026-12-31", "2028-02-29",
    )
]  # fmt: skip


@st.composite
def expressions(draw: st.DrawFn) -> str:
    minute = draw(st.sampled_from(["0", "30", "*/15", "*/20", "10,50", "59", "*/7"]))
    hour = draw(st.sampled_from(["*", "*", "2", "1", "0", "23", "1-5", "*/2", "0,1,2", "22-23,0-1", "*/6"]))
    day = draw(st.sampled_from(["*", "*", "*", "31", "1", "29", "28-31", "*/2"]))
    weekday = draw(st.sampled_from(["*", "*", "*", "sun", "mon-fri"]))
    return f"{minute} {hour} {day} * {weekday}"


@given(expressions(), st.sampled_from(ZONES), st.sampled_from(DAYS), st.integers(-36 * 60, 36 * 60))
@example("*/15 * * * *", "Europe/Berlin", utc("2026-10-25"), 0)
@example("*/20 * * * *", "Australia/Lord_Howe", utc("2026-10-04"), -600)
@example("30 0 * * *", "America/Havana", utc("2026-11-01"), 0)
@example("0 4 * * *", "Pacific/Apia", utc("2011-12-30"), 0)
@bounds(max_examples=60)
def test_a_crontab_runs_when_the_clock_of_its_zone_says_so(
    expression: str, zone: str, day: datetime, minutes: int
) -> None:
    timing, after = cron(expression, zone), day + minutes * MINUTE
    before = after + timedelta(hours=30)
    assert times(timing, after, before) == list(looked_at(timing, after, before))


@pytest.mark.parametrize(
    "zone, day",
    [
        ("Europe/Berlin", "2026-10-24T12:00"),
        ("Europe/Berlin", "2026-03-28T12:00"),
        ("America/New_York", "2026-10-31T12:00"),
        ("Australia/Lord_Howe", "2026-04-04T00:00"),
        ("Australia/Lord_Howe", "2026-10-03T00:00"),
        ("America/Havana", "2026-10-31T12:00"),
        ("Asia/Kathmandu", "2026-10-24T12:00"),
    ],
)
@pytest.mark.parametrize("expression, minutes", [("*/15 * * * *", 15), ("*/2 * * * *", 2), ("*/30 0-23 * * *", 30)])
def test_what_runs_every_few_minutes_never_pauses(expression: str, minutes: int, zone: str, day: str) -> None:
    found = times(cron(expression, zone), utc(day), utc(day) + timedelta(hours=28))
    assert max(later - earlier for earlier, later in pairwise(found)) == minutes * MINUTE


def test_an_hourly_run_comes_twenty_five_times_on_the_longest_day_and_a_nightly_one_once() -> None:
    start, end = utc("2026-10-24T22:00") - MINUTE, utc("2026-10-25T23:00") - MINUTE
    assert len(times(cron("0 * * * *", "Europe/Berlin"), start, end)) == 25
    assert len(times(cron("30 2 * * *", "Europe/Berlin"), start, end)) == 1


@pytest.mark.parametrize(
    "expression, after, following",
    [
        ("0 0 31 * *", "2026-01-31T00:00", "2026-03-31T00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00", "2028-02-29T00:00"),
        ("0 0 29 2 mon", "2026-01-01T00:00", "2044-02-29T00:00"),
        ("59 23 31 12 *", "2026-12-31T23:59", "2027-12-31T23:59"),
        ("0 4 * * *", "2026-02-28T04:00", "2026-03-01T04:00"),
        ("* * * * *", "2026-01-01T00:00:00.000001", "2026-01-01T00:01"),
    ],
)
def test_ends_of_months_and_leap_years(expression: str, after: str, following: str) -> None:
    assert cron(expression, "UTC").after(utc(after)) == utc(following)


def test_an_interval_counts_what_passes_whatever_clocks_show() -> None:
    timing = Every(timedelta(hours=6), ZoneInfo("Europe/Berlin"))
    found = times(timing, utc("2026-10-24T12:00"), utc("2026-10-26T12:00"))
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=6)}


@pytest.mark.parametrize("event", ["sunrise", "sunset", "solar_noon", "dawn_civil", "dusk_astronomical"])
@pytest.mark.parametrize("latitude, longitude", [(52.5, 13.4), (-33.9, 151.2), (78.2, 15.6), (0, 180)])
def test_the_sun_comes_once_a_day_or_not_for_months(event: str, latitude: float, longitude: float) -> None:
    timing = Sun(event, latitude, longitude, ZoneInfo("UTC"))
    found = [timing.after(utc("2026-06-21"))]
    for _ in range(3):
        assert found[-1] is not None
        found.append(timing.after(found[-1]))
    gaps = [later - earlier for earlier, later in pairwise(islice(found, 4)) if later and earlier]
    assert all(timedelta(hours=23) < gap < timedelta(hours=25) for gap in gaps)


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59.999999", "9999-12-29T00:00"])
def test_where_the_calendar_ends_nothing_follows(end: str) -> None:
    moment = utc(end)
    assert cron("0 4 1 1 *", "Asia/Tokyo").after(moment) is None
    assert Every(timedelta(days=30), ZoneInfo("UTC")).after(moment) is None
    assert Once(utc("2026-01-01"), ZoneInfo("UTC")).after(moment) is None
