"""Whatever stands in a row of django-celery-beat stops no other: it is refused in forms, else set aside and said."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from jobs.models import Job, ScheduleRun
from jobs.operations import tokens
from jobs.reports import remembered
from jobs.schedules import coming_runs, entries, latest_run, latest_runs
from jobs.schedules.beat import LedgerScheduler
from jobs.tasks.registry import registered
from project.celery import app
from tests.jobs.commands import conftest as commands
from tests.jobs.commands.conftest import Run
from tests.jobs.letters import NOTE
from tests.jobs.people import VIEW, logged_in, person

pytestmark = pytest.mark.django_db(transaction=True)

ADMIN = "/admin/django_celery_beat/"
LIST = f"{ADMIN}periodictask/"
ARGUMENTS = json.dumps({"effect": "odd"})

MODELS = ("periodictask", "crontabschedule", "intervalschedule", "solarschedule", "clockedschedule")
RIGHTS = [f"django_celery_beat.{right}_{model}" for right in ("view", "add", "change", "delete") for model in MODELS]


run = commands.run


@pytest.fixture(autouse=True)
def no_others() -> Iterator[None]:
    """Take away those of the site, and what pages remember. Beat knows the tasks."""
    registered()
    remembered.forget()
    for model in (PeriodicTask, CrontabSchedule, IntervalSchedule, SolarSchedule, ClockedSchedule):
        model.objects.all().delete()
    yield
    # Rows that no ORM can load are not to be met by the next test.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_schedulerun")
        cursor.execute("DELETE FROM django_celery_beat_periodictask")
        for model in MODELS[1:]:
            cursor.execute(f"DELETE FROM django_celery_beat_{model}")  # noqa: S608
    remembered.forget()


@pytest.fixture
def staff() -> Client:
    return logged_in(person("operate_job", *VIEW, *RIGHTS))


def every(period: str = "minutes", number: int = 5) -> IntervalSchedule:
    return IntervalSchedule.objects.get_or_create(every=number, period=period)[0]


def made(name: str, **fields: Any) -> PeriodicTask:
    """Write a row as it is given, whatever the model says of it."""
    given = {"task": NOTE, "kwargs": ARGUMENTS, "date_changed": timezone.now(), **fields}
    if not {"interval", "crontab", "solar", "clocked"} & fields.keys():
        given["interval"] = every()
    (row,) = PeriodicTask.objects.bulk_create([PeriodicTask(name=name, **given)])
    # The model sets it to now.
    PeriodicTask.objects.filter(pk=row.pk).update(date_changed=given["date_changed"])
    row.refresh_from_db()
    return row


def due(name: str = "another", **fields: Any) -> PeriodicTask:
    return made(name, last_run_at=timezone.now() - timedelta(hours=1), kwargs=json.dumps({"effect": name}), **fields)


def fired(beat: LedgerScheduler, *names: str, ticks: int = 10) -> bool:
    """Let Beat tick, and return whether jobs of these schedules came of it."""
    for _ in range(ticks):
        beat.tick()
    effects = {job.kwargs["effect"] for job in Job.objects.filter(task=NOTE)}
    return set(names) <= effects


# Anything

TIMES = ["0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00", "infinity", "-infinity", "not a time", "", None]
NUMBERS = [0, -1, 10, 255, 256, 2**31 - 1, 2**63 - 1, "abc", "NaN", None, 1.5]
TEXTS = [
    *("", " ", "[]", "{}", "null", "1", '"x"', "[1, 2, 3]", '{"a": 1}', "{", "NaN", '["\\u0000"]', '["\\ud800"]'),
    *(
        "[" * 900 + "]" * 900,
        "[" * 99_999,
        "1" * 5000,
        "x" * 200,
        "\N{SNOWMAN}",
        "celery.ping",
        "*/0",
        "1//2",
        "99",
        None,
    ),
    *('{"__type__": "no-such", "__value__": 1}', "Europe/Atlantis", "../etc/passwd", "0", "30 2", "fortnights"),
]
ODD: dict[str, dict[str, Any]] = {
    "periodictask": {
        **dict.fromkeys(
            ("task", "args", "kwargs", "queue", "exchange", "routing_key", "headers", "description"), TEXTS
        ),
        **dict.fromkeys(("priority", "expire_seconds", "total_run_count"), NUMBERS),
        **dict.fromkeys(("expires", "start_time", "last_run_at", "date_changed"), TIMES),
        **dict.fromkeys(("one_off", "enabled"), (True, False, 7, "x")),
        "interval_id": [None],
    },
    "crontabschedule": dict.fromkeys(
        ("minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone"), TEXTS
    ),
    "intervalschedule": {"every": NUMBERS, "period": TEXTS},
    "solarschedule": {"event": TEXTS, "latitude": [*NUMBERS, -91, 90, 1e308], "longitude": [*NUMBERS, 181, -180]},
    "clockedschedule": {"clocked_time": TIMES},
}


def one_of(table: str, name: str) -> int:
    """Write a sound row whose timing is its own; return the key of what is to be made odd."""
    # No two are alike.
    timings: dict[str, tuple[str, Callable[[], Any]]] = {
        "crontabschedule": ("crontab", lambda: CrontabSchedule.objects.create(minute="*/15")),
        "intervalschedule": ("interval", lambda: IntervalSchedule.objects.create(every=5, period="minutes")),
        "solarschedule": ("solar", lambda: solar(latitude=SolarSchedule.objects.count() / 100)),
        "clockedschedule": ("clocked", lambda: ClockedSchedule.objects.create(clocked_time=timezone.now())),
    }
    if table not in timings:
        return int(made(name).pk)
    kind, make = timings[table]
    timing = make()
    made(name, **{kind: timing}, one_off=kind == "clocked")
    return int(timing.pk)


def make_odd() -> int:
    """Write a row for each odd value of each field, as far as the database takes them. Returns their number."""
    count = 0
    for table, fields in ODD.items():
        for field, values in fields.items():
            for number, value in enumerate(values):
                try:
                    with transaction.atomic(), connection.cursor() as cursor:
                        key = one_of(table, f"{table} {field} {number}")
                        statement = f"UPDATE django_celery_beat_{table} SET {field} = %s WHERE id = %s"  # noqa: S608
                        cursor.execute(statement, [value, key])
                except (DatabaseError, ValueError, OverflowError):
                    continue
                count += 1
    return count


@pytest.mark.timeout(240)
def test_whatever_stands_in_a_row_beat_fires_the_others_and_all_pages_answer(staff: Client, run: Run) -> None:
    count = make_odd()
    assert count > 250
    due()
    beat = LedgerScheduler(app, lazy=True)
    assert fired(beat, "another", ticks=count)
    for address in ("/jobs/", "/jobs/schedules/", "/jobs/history/", LIST, *(f"{ADMIN}{model}/" for model in MODELS)):
        assert staff.get(address).status_code == 200, address
    sound = PeriodicTask.objects.get(name="another")
    assert staff.get(f"{LIST}{sound.pk}/change/").status_code == 200
    assert staff.get("/api/schedules").status_code == 200
    found = run("schedules", "list", "--json").answer["schedules"]
    assert len(found) == count + 1
    assert "another" in run("schedules", "list").out


# What cannot run


def crontab(**fields: str) -> CrontabSchedule:
    return CrontabSchedule.objects.create(**fields)


def solar(event: str = "sunrise", latitude: float = 52.5) -> SolarSchedule:
    return SolarSchedule.objects.create(event=event, latitude=latitude, longitude=13.4)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "args of another kind": ({"args": '{"a": 1}'}, "args: This is no such value: it must be a list"),
    "kwargs of another kind": ({"kwargs": "[1]"}, "kwargs: This is no such value: it must be an object"),
    "args that do not parse": ({"args": "[1"}, "args: This is not JSON"),
    "args nested too deep": ({"args": "[" * 99_999}, "args: This is not JSON"),
    "headers of another kind": ({"headers": "7"}, "headers: This is no such value: it must be an object"),
    "arguments that do not fit": ({"kwargs": "{}"}, "kwargs: tests.tasks_app.tasks.note: the arguments do not fit"),
    "NUL": ({"kwargs": '{"effect": "\\u0000"}'}, "holds a NUL character"),
    "no number": ({"kwargs": '{"effect": NaN}'}, "cannot be written as JSON"),
    "a priority nobody takes": ({"priority": 200}, "must be a whole number from 0 (last) to 9 (first)"),
    "a queue nobody knows": ({"queue": "nowhere"}, "queue='nowhere' is not known"),
    "an exchange": ({"exchange": "amq.topic"}, "exchange: A job goes where its queue is"),
    "an unknown task": ({"task": "gone.task"}, "No task 'gone.task' is registered here"),
    "no timing": ({"interval": None}, "It has no timing"),
    "both ends": (
        {"expires": datetime(2030, 1, 1, tzinfo=UTC), "expire_seconds": 5},
        "Only one of expires and expire_s",
    ),
    "no time to begin": ({"expire_seconds": 0}, "expire_seconds: It must be above zero"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_that_cannot_run_is_set_aside_and_said_everywhere(fault: str, staff: Client, run: Run) -> None:
    fields, words = FAULTS[fault]
    row = made("odd", **fields)
    due()
    beat = LedgerScheduler(app, lazy=True)
    assert fired(beat, "another")
    assert [entry.row.name for entry in entries() if entry.fault] == ["odd"]
    (found,) = [one for one in run("schedules", "list", "--json").answer["schedules"] if one["name"] == "odd"]
    assert words in found["cannot_run"]
    assert found["next_runs"] == []
    shown = {address: staff.get(address).content.decode() for address in ("/jobs/", "/jobs/schedules/", LIST)}
    assert all("cannot run" in page for page in shown.values())
    ran = run("schedules", "run", "odd")
    assert words in ran.error
    assert words in staff.post(f"/api/schedules/{row.pk}/run", headers=operator_token()).json()["detail"]
    page = staff.post(f"/jobs/schedules/{row.pk}/run", follow=True)
    assert "odd was not run." in page.content.decode()
    page = staff.post(LIST, {"action": "run_tasks", "_selected_action": [row.pk]}, follow=True)
    assert page.status_code == 200
    assert not Job.objects.filter(kwargs__effect="odd").exists()


def operator_token() -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.create('test', ('read', 'operate'), by='test')[1]}"}


def test_a_timing_that_cannot_be_is_said() -> None:
    made("never", crontab=crontab(day_of_month="30", month_of_year="2"), interval=None)
    made("minutes", crontab=crontab(minute="*/0"), interval=None)
    made("nothing", interval=every(number=0))
    made("backwards", interval=every(number=-5))
    made("too long", interval=every("days", 10**9))
    made("fortnights", interval=every("fortnights"))
    made("two", interval=every(), crontab=crontab())
    made("no event", solar=solar("moonrise"), interval=None)
    made("no place", solar=solar(latitude=91), interval=None)
    faults = {entry.row.name: entry.fault for entry in entries()}
    assert all(faults.values()), faults
    assert "day_of_month '30' never occurs" in faults["never"]
    assert "must be above zero" in faults["nothing"]
    assert "There are 2 timings" in faults["two"]


def test_one_that_cannot_run_can_be_switched_off_and_deleted(staff: Client) -> None:
    row = made("odd", interval=None, args="[1")
    staff.post(f"/jobs/schedules/{row.pk}/disable")
    row.refresh_from_db()
    assert not row.enabled
    data = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    assert staff.post(LIST, data).status_code == 302
    assert not PeriodicTask.objects.filter(name="odd").exists()


def test_one_of_an_unknown_zone_can_be_deleted_with_its_crontab(staff: Client) -> None:
    row = made("lost", crontab=crontab(), interval=None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET timezone = 'Europe/Atlantis'")
    assert "Europe/Atlantis" in staff.get(f"{ADMIN}crontabschedule/").text
    assert staff.get(f"{LIST}{row.pk}/change/").status_code == 200
    assert staff.post(f"{ADMIN}crontabschedule/{row.crontab_id}/delete/", {"post": "yes"}).status_code == 302
    assert not PeriodicTask.objects.exists()


# Forms

FORM = {"name": "odd", "task": NOTE, "enabled": "on", "args": "[]", "kwargs": ARGUMENTS, "headers": "{}"}


@pytest.mark.parametrize(
    "field, value",
    [
        ("args", '{"a": 1}'),
        ("args", "[1"),
        ("args", "[" * 99_999),
        ("kwargs", "[1]"),
        ("kwargs", "{}"),
        ("kwargs", '{"effect": "\\ud800"}'),
        ("headers", "7"),
        ("priority", "200"),
        ("priority", "10"),
        ("queue", "nowhere"),
        ("routing_key", "x"),
        ("task", "gone.task"),
        ("task", "x" * 300),
        ("task", ""),
        ("expire_seconds", "0"),
    ],
)
def test_a_form_refuses_beside_its_field_what_could_not_run(field: str, value: str, staff: Client) -> None:
    answer = staff.post(f"{LIST}add/", {**FORM, "interval": every().pk, field: value})
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not PeriodicTask.objects.exists()


def test_a_form_refuses_both_ends_and_no_timing_or_two(staff: Client) -> None:
    ends = {"expires_0": "2030-01-01", "expires_1": "00:00", "expire_seconds": "5"}
    for wrong in ({**ends, "interval": every().pk}, {}, {"interval": every().pk, "crontab": crontab().pk}):
        assert staff.post(f"{LIST}add/", {**FORM, **wrong}).status_code == 200
        assert not PeriodicTask.objects.exists()


def test_a_form_takes_what_can_run(staff: Client) -> None:
    answer = staff.post(f"{LIST}add/", {**FORM, "interval": every().pk, "priority": "9", "queue": "default"})
    assert answer.status_code == 302, answer.context["errors"]
    assert PeriodicTask.objects.get().priority == 9


def test_an_interval_that_no_calendar_holds_is_refused(staff: Client) -> None:
    answer = staff.post(f"{ADMIN}intervalschedule/add/", {"every": str(10**9), "period": "days"})
    assert answer.status_code == 200
    assert "This never runs." in answer.text


# Many


@pytest.mark.parametrize("given", [["--json"], []])
def test_a_list_asks_for_the_latest_runs_of_all_at_once(given: list[str], run: Run) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as statements:
            run("schedules", "list", *given)
        return len(statements)

    made("first")
    few = asked()
    for number in range(10):
        row = made(f"another {number}")
        for days in (1, 2):
            ScheduleRun.objects.create(schedule=row, due_at=timezone.now() - timedelta(days=days))
    assert asked() == few
    assert {run.due_at for run in latest_runs().values()} == {
        latest.due_at for row in PeriodicTask.objects.all() if (latest := latest_run(row))
    }


# What Beat does with the rest


def test_an_expiry_in_seconds_counts_also_for_a_run_now(run: Run) -> None:
    made("odd", expire_seconds=3600)
    job_id = run("schedules", "run", "odd", "--json").answer["job_id"]
    expires_at = Job.objects.get(pk=job_id).expires_at
    assert expires_at is not None
    assert timedelta(minutes=59) < expires_at - timezone.now() <= timedelta(hours=1)


def test_the_end_of_a_schedule_does_not_keep_it_from_being_run_now(run: Run) -> None:
    made("odd", expires=timezone.now() - timedelta(days=1))
    job_id = run("schedules", "run", "odd", "--json").answer["job_id"]
    assert Job.objects.get(pk=job_id).expires_at is None


def test_a_solar_schedule_runs(staff: Client) -> None:
    row = due("sun", solar=solar(), interval=None)
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(days=2))
    assert fired(LedgerScheduler(app, lazy=True), "sun")
    row.refresh_from_db()
    assert len(coming_runs(row)) == 5
    assert "cannot run" not in staff.get(LIST).text


def test_a_last_run_that_has_yet_to_come_silences_nobody() -> None:
    row = made("odd", kwargs=json.dumps({"effect": "odd"}), date_changed=timezone.now() - timedelta(hours=1))
    PeriodicTask.objects.update(last_run_at=timezone.now() + timedelta(days=400))
    assert fired(LedgerScheduler(app, lazy=True), "odd")
    row.refresh_from_db()
    assert row.last_run_at <= timezone.now()


def test_a_clock_that_was_ahead_makes_no_run_twice() -> None:
    row = made("odd", date_changed=timezone.now() - timedelta(days=9))
    ran = timezone.now() - timedelta(minutes=2)
    ScheduleRun.objects.create(schedule=row, due_at=ran)
    ScheduleRun.objects.create(schedule=row, due_at=timezone.now() + timedelta(days=1))
    PeriodicTask.objects.update(last_run_at=timezone.now() + timedelta(days=1))
    assert not fired(LedgerScheduler(app, lazy=True), "odd")
    row.refresh_from_db()
    assert row.last_run_at == ran


@pytest.mark.parametrize("last_run", [None, -3600])
def test_a_time_of_change_that_has_yet_to_come_silences_nobody(last_run: int | None) -> None:
    row = made("odd", interval=every("seconds", 1), date_changed=timezone.now() + timedelta(days=9))
    if last_run:
        PeriodicTask.objects.update(last_run_at=timezone.now() + timedelta(seconds=last_run))
    beat = LedgerScheduler(app, lazy=True)
    beat.tick()
    row.refresh_from_db()
    assert row.last_run_at is not None
    assert row.last_run_at <= timezone.now()


@pytest.mark.parametrize("timing", ["interval", "crontab"])
def test_the_first_run_is_due_when_the_schedule_begins(timing: str) -> None:
    start = (timezone.now() - timedelta(minutes=3)).replace(second=0, microsecond=0)
    timings = {"interval": every("hours", 5), "crontab": crontab(minute=str(start.minute), hour=str(start.hour))}
    row = made("odd", start_time=start, **{timing: timings[timing]})
    assert fired(LedgerScheduler(app, lazy=True), "odd")
    assert [one.due_at for one in ScheduleRun.objects.filter(schedule=row)] == [start]


def test_a_crontab_does_not_run_before_its_time_because_the_schedule_begins() -> None:
    now = timezone.now()
    later = now + timedelta(hours=2)
    row = made("odd", start_time=now - timedelta(minutes=1), crontab=crontab(minute="0", hour=str(later.hour)))
    assert not fired(LedgerScheduler(app, lazy=True), "odd")
    assert coming_runs(row)[0].hour == later.hour


def test_a_schedule_that_begins_later_shows_when() -> None:
    start = timezone.now() + timedelta(days=3)
    assert coming_runs(made("odd", start_time=start))[0] == start
    assert coming_runs(made("daily", start_time=start, crontab=crontab(minute="0", hour="4")))[0] > start


def test_what_runs_once_runs_once_whether_it_says_so_or_not() -> None:
    at = ClockedSchedule.objects.create(clocked_time=timezone.now() - timedelta(minutes=1))
    made("clocked", clocked=at, kwargs=json.dumps({"effect": "clocked"}))
    due("once", one_off=True)
    beat = LedgerScheduler(app, lazy=True)
    assert fired(beat, "clocked", "once", ticks=20)
    assert Job.objects.filter(task=NOTE).count() == 2
    beat._last_full_sync = datetime(2000, 1, 1)  # noqa: DTZ001 (Beat's own are without a zone)
    fired(beat, ticks=10)
    assert Job.objects.filter(task=NOTE).count() == 2


@pytest.mark.postgres_only
def test_a_row_that_somebody_holds_keeps_no_other_waiting() -> None:
    held = due("held")
    due("another", interval=every("minutes", 7))
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM django_celery_beat_periodictask WHERE id = %s FOR UPDATE", [held.pk])
        beat = LedgerScheduler(app, lazy=True)
        assert fired(beat, "another")
    other.rollback()
    other.close()
    assert not Job.objects.filter(kwargs__effect="held").exists()
