"""Incidents begin and end, and each target hears of a cause once an hour at most."""

import html
import re
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from jobs.alerts import watch
from jobs.alerts.causes import causes
from jobs.alerts.quiet import is_quiet, last_quiet
from jobs.models import AlertNotice, AlertTarget, AlertWatch, DeadLetter, Incident, Job
from jobs.reports.verdict import Alert
from tests.jobs.alerts.conftest import Make
from tests.jobs.conftest import no_dispatcher_left
from tests.jobs.dashboard.letters import letter
from tests.jobs.races import at_once
from tests.jobs.rows import written
from tests.jobs.worker_rows import worker

__all__ = ["no_dispatcher_left"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DEAF = Alert("queue email has no worker", "No worker listens to queue email.", "queues")
LATE = Alert("maintenance is late", "Maintenance is late.", "workers")


def settle(seconds: float, *found: Alert) -> None:
    watch.settle(found, list(AlertTarget.objects.filter(enabled=True)), NOON + timedelta(seconds=seconds))


def said() -> list[Any]:
    return [(job.args[1], AlertNotice.objects.get(pk=job.args[0]).target.name) for job in Job.objects.order_by("pk")]


def raised_at(seconds: float, *found: Alert) -> None:
    """Let it be wrong for long enough, and all be told."""
    settle(seconds, *found)
    settle(seconds + 30, *found)
    AlertNotice.objects.filter(told_at=None).update(told_at=NOON + timedelta(seconds=seconds + 30))


def test_what_lasts_is_told_to_every_target_once(target: Make) -> None:
    target()
    target("slack")
    for seconds in (0, 15, 30, 45, 60):
        settle(seconds, DEAF)
    assert sorted(said()) == [("alert.raised", "the slack"), ("alert.raised", "the webhook")]
    assert Incident.objects.count() == 1


def test_what_comes_and_goes_within_half_a_minute_is_told_to_nobody(target: Make) -> None:
    target()
    settle(0, DEAF)
    for seconds in range(15, 200, 15):
        settle(seconds)
    assert said() == []
    assert Incident.objects.get().resolved_at is not None


def test_the_end_is_told_to_those_who_were_told_of_the_beginning(target: Make) -> None:
    target()
    raised_at(0, DEAF)
    target("slack")
    for seconds in (45, 60, 75, 90, 105):
        settle(seconds)
    assert said() == [("alert.raised", "the webhook"), ("alert.resolved", "the webhook")]


def test_a_moment_in_which_it_is_not_seen_ends_nothing(target: Make) -> None:
    target()
    raised_at(0, DEAF)
    settle(45)
    settle(60, DEAF)
    settle(119)
    assert said() == [("alert.raised", "the webhook")]
    assert Incident.objects.get().resolved_at is None


def test_what_flaps_is_told_once_an_hour(target: Make) -> None:
    target()
    for begins in range(0, 3600, 300):
        raised_at(begins, DEAF)
        settle(begins + 45)
        settle(begins + 150)
    assert said().count(("alert.raised", "the webhook")) == 1
    assert Incident.objects.count() > 5
    raised_at(3700, DEAF)
    assert said().count(("alert.raised", "the webhook")) == 2


def test_each_cause_is_told_of_on_its_own(target: Make) -> None:
    target()
    raised_at(0, DEAF, LATE)
    assert len(said()) == 2


def test_what_quiet_hours_held_back_is_told_when_they_end_once_a_cause(target: Make) -> None:
    target(quiet_from=time(11), quiet_until=time(13))
    for begins in (0, 600):
        raised_at(begins, DEAF, LATE)
        settle(begins + 100, LATE)
    settle(700, LATE, Alert("a moment", "It took a moment.", "queues"))
    assert said() == []
    for seconds in (800, 3540, 3600, 3700, 7190, 7300, 9000):
        settle(seconds, LATE)
    assert said() == [("alert.raised", "the webhook"), ("alert.resolved", "the webhook")]
    told = dict(AlertNotice.objects.values_list("incident__cause", "incident__opened_at"))
    assert told == {LATE.cause: NOON, DEAF.cause: NOON + timedelta(seconds=600)}


def test_who_sets_quiet_hours_later_hears_nothing_of_what_passed_in_them_long_ago(target: Make) -> None:
    raised_at(0, DEAF)
    settle(100)
    target(quiet_from=time(11), quiet_until=time(13))
    settle(2 * 3600)
    assert said() == []


def test_quiet_hours_put_off_the_end(target: Make) -> None:
    aim = target()
    raised_at(0, DEAF)
    AlertTarget.objects.filter(pk=aim.pk).update(quiet_from=time(11), quiet_until=time(13))
    settle(200)
    settle(300)
    assert len(said()) == 1
    settle(3600)
    assert said()[1] == ("alert.resolved", "the webhook")


def test_quiet_hours_are_meant_in_the_zone_of_schedules(target: Make, settings: Settings) -> None:
    settings.CRON_TIMEZONE = "Asia/Tokyo"  # 21:00 there at noon
    target(quiet_from=time(20), quiet_until=time(6))
    raised_at(0, DEAF)
    assert said() == []


@pytest.mark.parametrize(
    "now, begins, ends, quiet",
    [
        (time(12), None, None, False),
        (time(12), time(11), time(13), True),
        (time(11), time(11), time(13), True),
        (time(13), time(11), time(13), False),
        (time(23), time(22), time(6), True),
        (time(5, 59), time(22), time(6), True),
        (time(6), time(22), time(6), False),
        (time(12), time(22), time(6), False),
        (time(12), time(12), time(12), False),
    ],
)
def test_quiet_hours_may_go_over_midnight(now: time, begins: time | None, ends: time | None, quiet: bool) -> None:
    assert is_quiet(now, begins, ends) is quiet


@pytest.mark.parametrize(
    "now, begins, ends, since, until",
    [
        ("02T06:00", time(22), time(6), "01T22:00", "02T06:00"),
        ("02T21:59", time(22), time(6), "01T22:00", "02T06:00"),
        ("02T05:59", time(11), time(13), "01T11:00", "01T13:00"),
        ("02T13:00", time(11), time(13), "02T11:00", "02T13:00"),
        ("02T12:00", time(12), time(12), "02T12:00", "02T12:00"),
    ],
)
def test_the_quiet_hours_that_ended_last(now: str, begins: time, ends: time, since: str, until: str) -> None:
    at = [datetime.fromisoformat(f"2026-03-{text}+09:00") for text in (now, since, until)]
    assert last_quiet(at[0], begins, ends) == (at[1], at[2])


def test_of_many_workers_one_looks(target: Make) -> None:
    target()
    written(queue="tests.other")
    at_once(look, threads=4)
    assert (Incident.objects.count(), AlertWatch.objects.count()) == (1, 1)
    before = AlertWatch.objects.get().looked_at
    watch.look()
    assert AlertWatch.objects.get().looked_at == before


def look(number: int) -> None:
    watch.look()


def test_nobody_looks_where_nobody_is_to_be_told(db: None) -> None:
    written()
    watch.look()
    assert not AlertWatch.objects.exists()
    assert not Incident.objects.exists()


def test_all_that_the_overview_finds_grave_is_a_cause_and_what_somebody_wanted_is_not() -> None:
    worker(queues=["tests.elsewhere"])
    worker(name="gone@test", silent=True)
    written(queue="tests.other")
    found = {one.cause for one in causes(timezone.now())}
    assert {"queue tests.other has no worker", "worker gone@test is silent"} <= found


def test_dead_letters_that_grow_are_told_of_by_task_and_kind_of_error() -> None:
    worker()
    for number in range(6):
        letter(error=f"Refused: <reader{number}@example.com> unknown")
        letter(error="Broken: full")
    letter(error="Rare: once")
    found = [one for one in causes(timezone.now()) if "dead letters" in one.cause]
    assert {one.text.partition("hour: ")[2] for one in found} == {"Refused: <…> unknown", "Broken: full"}
    assert {one.room for one in found} == {"dead-letter-list"}


def test_the_link_of_dead_letters_shows_and_replays_exactly_those(operator: Any) -> None:
    worker()
    earlier = letter(error="Refused: <early@example.com> unknown", failed_at=timezone.now() - timedelta(hours=2))
    those = {letter(error=f"Refused: <reader{number}@example.com> unknown").pk for number in range(6)}
    rare = letter(error="Rare: once")
    (found,) = [one for one in causes(timezone.now()) if "dead letters" in one.cause]
    page = operator.get(f"/jobs/dead/list/?{found.query}")
    assert {shown.pk for shown, _ in page.context["letters"]} == those
    form = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html.unescape(page.content.decode()))
    operator.post("/jobs/dead/replay", {**dict(form), "all": "1", "confirmed": "1"})
    assert {one.pk for one in DeadLetter.objects.all() if one.is_open} == {earlier.pk, rare.pk}


def test_the_link_leads_to_the_same_letters_for_as_long_as_they_are_told_of(target: Make) -> None:
    target()
    first, later = (Alert("letters", "5 letters.", "dead-letter-list", f"since={at}") for at in ("2am", "3am"))
    raised_at(0, first)
    settle(45, later)
    assert Incident.objects.get().query == "since=2am"


@pytest.mark.parametrize(
    "kinds, text", [(6, "5 dead letters of one more kind"), (7, "10 dead letters of 2 more kinds")]
)
def test_more_kinds_than_are_told_one_by_one_are_told_together(kinds: int, text: str) -> None:
    worker()
    for sign in "abcdefg"[:kinds]:
        for _ in range(5):
            letter(error=f"Broken in a way of its own: {sign * 3}")
    found = [one.text for one in causes(timezone.now()) if one.room == "dead-letter-list"]
    assert (len(found), found[-1]) == (6, f"{text} in the last hour.")


def test_many_kinds_of_errors_are_one_cause() -> None:
    worker()
    for sign in "abcdefgh":
        letter(error=f"Broken in a way of its own: {sign * 3}")
    (found,) = [one for one in causes(timezone.now()) if "dead letters" in one.cause]
    assert (found.room, found.text) == ("dead-letter-list", "Dead letters are growing: 8 in the last hour.")
