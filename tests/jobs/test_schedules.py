"""Schedules: when they run next, also when the clocks change, and what the admin says of them."""

import json
import uuid
from datetime import UTC, datetime
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from pytest_django.fixtures import Settings

from jobs.models import Job, ScheduleRun
from jobs.schedules import next_runs, run_now
from jobs.schedules.beat import LedgerScheduler
from jobs.tasks.registry import registered
from project.celery import app
from tests.jobs.letters import NOTE
from tests.jobs.people import logged_in, person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

LIST = "/admin/django_celery_beat/periodictask/"
CRONTABS = "/admin/django_celery_beat/crontabschedule/add/"


@pytest.fixture(autouse=True)
def no_others() -> None:
    """Take away those of the site: they are here or not, by what tests ran before. Beat knows the tasks."""
    registered()
    PeriodicTask.objects.all().delete()
    CrontabSchedule.objects.all().delete()


@pytest.fixture
def admin() -> Client:
    rights = ("view", "add", "change")
    names = [f"django_celery_beat.{right}_{model}" for right in rights for model in ("periodictask", "crontabschedule")]
    return logged_in(person("operate_job", "view_job", *names))


def scheduled(
    minute: str = "30", hour: str = "2", zone: str = "UTC", name: str = "a note", **more: str
) -> PeriodicTask:
    crontab = CrontabSchedule.objects.create(minute=minute, hour=hour, timezone=zone, **more)
    return PeriodicTask.objects.create(name=name, task=NOTE, crontab=crontab, kwargs=json.dumps({"effect": "on time"}))


def in_utc(schedule: PeriodicTask, after: str, count: int = 3) -> list[str]:
    moments = next_runs(schedule, count, after=datetime.fromisoformat(after).replace(tzinfo=UTC))
    return [f"{moment.astimezone(UTC):%m-%d %H:%M}" for moment in moments]


# When


@pytest.mark.parametrize(
    "zone, after, runs",
    [
        # Clocks go forward on 8 March (New York, 2:00 to 3:00) and 29 March (Berlin, 2:00 to 3:00).
        ("America/New_York", "2026-03-07T00:00", ["03-07 09:00", "03-08 08:00", "03-09 08:00"]),
        ("Europe/Berlin", "2026-03-28T00:00", ["03-28 03:00", "03-29 02:00", "03-30 02:00"]),
        # And back on 1 November and 25 October.
        ("America/New_York", "2026-10-31T00:00", ["10-31 08:00", "11-01 09:00", "11-02 09:00"]),
        ("Europe/Berlin", "2026-10-24T00:00", ["10-24 02:00", "10-25 03:00", "10-26 03:00"]),
    ],
)
def test_four_in_the_morning_stays_four_when_the_clocks_change(zone: str, after: str, runs: list[str]) -> None:
    assert in_utc(scheduled("0", "4", zone), after) == runs


@pytest.mark.parametrize(
    "zone, after", [("America/New_York", "2026-03-07T12:00"), ("Europe/Berlin", "2026-03-28T12:00")]
)
def test_a_time_that_the_clocks_skip_comes_once_all_the_same(zone: str, after: str) -> None:
    first, second = next_runs(scheduled(zone=zone), 2, after=datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert (first.hour, first.minute) == (3, 30)
    assert (second.hour, second.minute) == (2, 30)
    assert (second.day - first.day) == 1


@pytest.mark.parametrize(
    "zone, after", [("America/New_York", "2026-10-31T12:00"), ("Europe/Berlin", "2026-10-24T12:00")]
)
def test_a_time_that_comes_twice_is_run_once(zone: str, after: str) -> None:
    hour = "1" if "New_York" in zone else "2"
    runs = next_runs(scheduled(hour=hour, zone=zone), 3, after=datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert len({moment.date() for moment in runs}) == 3


def another_is_fired() -> None:
    """Let Beat tick with a schedule that is due beside the others, and see its job."""
    due = scheduled("*", "*", name="often")
    PeriodicTask.objects.filter(pk=due.pk).update(last_run_at=datetime(2026, 1, 1, tzinfo=UTC))
    beat = LedgerScheduler(app, lazy=True)
    for _ in range(3):
        beat.tick()
    assert Job.objects.get(task=NOTE).kwargs == {"effect": "on time"}


def test_an_impossible_day_never_comes_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    never = scheduled(day_of_month="30", month_of_year="2", name="never")
    assert next_runs(never) == []
    another_is_fired()
    assert "Schedule never cannot run: crontab: Invalid crontab: day_of_month '30' never occurs" in caplog.text


def test_a_time_zone_that_is_not_known_is_named_and_stops_nobody(
    admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    lost = scheduled(name="lost")
    with connection.cursor() as cursor:
        # As after a move to a machine whose zones are older.
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = 'Europe/Atlantis'")
    another_is_fired()
    assert (
        f"Schedule {lost.name} cannot run: crontab: its time zone 'Europe/Atlantis' is not known here." in caplog.text
    )
    for address in ("/jobs/", "/jobs/schedules/", LIST):
        assert admin.get(address).status_code == 200


def test_beat_needs_no_broker() -> None:
    assert LedgerScheduler(app, lazy=True).producer is None


# The site's own


def create() -> None:
    import_module("project.migrations.0001_schedules").create(apps, None)


def test_the_site_has_its_three_schedules_in_the_zone_of_the_settings(settings: Settings) -> None:
    settings.CRON_TIMEZONE = "Europe/Berlin"
    create()
    found = {schedule.task: schedule for schedule in PeriodicTask.objects.all()}
    assert {task: schedule.queue for task, schedule in found.items()} == {
        "jobs.cleanup": "maintenance",
        "posts.sitemap": "maintenance",
        "storage.orphans": "storage",
    }
    first = {task: next_runs(schedule, 1)[0] for task, schedule in found.items()}
    assert {task: f"{moment:%A %H:%M}" for task, moment in first.items()} == {
        "jobs.cleanup": "Saturday 04:00",
        "posts.sitemap": "Sunday 03:00",
        "storage.orphans": "Friday 05:00",
    }
    assert {str(schedule.crontab.timezone) for schedule in found.values()} == {"Europe/Berlin"}


def test_every_schedule_of_the_site_can_be_run() -> None:
    create()
    for schedule in PeriodicTask.objects.all():
        run_now(schedule, actor="alice")
    assert dict(Job.objects.values_list("task", "queue")) == dict(PeriodicTask.objects.values_list("task", "queue"))


def test_what_an_operator_changed_stays() -> None:
    create()
    own = CrontabSchedule.objects.create(minute="1", hour="1")
    PeriodicTask.objects.filter(name="Cleanup").update(crontab=own, enabled=False)
    PeriodicTask.objects.filter(name="Sitemap").update(name="My sitemap")
    before = list(PeriodicTask.objects.order_by("pk").values("name", "crontab", "enabled", "queue"))
    create()
    assert list(PeriodicTask.objects.order_by("pk").values("name", "crontab", "enabled", "queue")) == before
    assert CrontabSchedule.objects.count() == 4


# The admin


def test_the_admin_shows_the_next_runs_in_their_zone_and_the_last_outcome(admin: Client) -> None:
    schedule = scheduled(zone="Europe/Berlin")
    job_id = run_now(schedule, actor="alice")
    page = admin.get(f"{LIST}{schedule.pk}/change/").text
    expected = [f"{moment:%a %Y-%m-%d %H:%M %Z}" for moment in next_runs(schedule)]
    assert all(moment in page for moment in expected)
    assert reverse("jobs:job", args=[job_id]) in page
    page = admin.get(LIST).text
    assert expected[0] in page
    assert "queued" in page


def test_the_admin_shows_schedules_that_run_never_or_not_yet_or_without_a_job(admin: Client) -> None:
    never = scheduled(day_of_month="31", month_of_year="4", name="never")
    every, _ = IntervalSchedule.objects.get_or_create(every=5, period="minutes")
    off = PeriodicTask.objects.create(name="off", task=NOTE, interval=every, enabled=False)
    ScheduleRun.objects.create(schedule=never, due_at=datetime(2026, 1, 1, tzinfo=UTC))
    ScheduleRun.objects.create(schedule=off, due_at=datetime(2026, 1, 1, tzinfo=UTC), job_id=uuid.uuid4())
    page = admin.get(LIST).text
    for words in ("never", "switched off", "no job was made", "has been pruned"):
        assert words in page
    assert admin.get(f"{LIST}{off.pk}/change/").status_code == 200
    assert admin.get(f"{LIST}add/").status_code == 200


@pytest.mark.parametrize(
    "wrong, words",
    [
        (
            {"day_of_month": "30", "month_of_year": "2"},
            "This never runs. Invalid crontab: day_of_month &#x27;30&#x27; never occurs",
        ),
        ({"hour": "25"}, "Hour"),
        ({"minute": "x"}, "Minute"),
        ({"timezone": "Europe/Atlantis"}, "Europe/Atlantis is not one of the available choices"),
    ],
)
def test_an_impossible_crontab_is_refused(admin: Client, wrong: dict[str, str], words: str) -> None:
    fields = {"minute": "0", "hour": "4", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*"}
    answer = admin.post(CRONTABS, {**fields, "timezone": "UTC", **wrong})
    assert answer.status_code == 200
    assert words in answer.text
    assert not CrontabSchedule.objects.exists()


def test_a_crontab_is_edited(admin: Client) -> None:
    schedule = scheduled()
    fields = {"minute": "0", "hour": "4", "day_of_month": "29", "month_of_year": "2", "day_of_week": "*"}
    address = f"/admin/django_celery_beat/crontabschedule/{schedule.crontab.pk}/change/"
    inline = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    answer = admin.post(address, {**fields, **inline, "timezone": "Asia/Tokyo"})
    assert answer.status_code == 302, answer.context["errors"]
    schedule.crontab.refresh_from_db()
    assert str(schedule.crontab.timezone) == "Asia/Tokyo"
