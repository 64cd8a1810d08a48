"""Real Beats: two at once fire once, and one that was away for a due time neither doubles nor skips."""

import json
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.models import Job, ScheduleRun
from tests import forks
from tests.acceptance.engine import on_postgres, on_sqlite
from tests.conftest import REPORTS
from tests.forks import Fork
from tests.jobs.letters import NOTE
from tests.servers.processes import kill_group, tail
from tests.waiting import always, wait_for

pytestmark = pytest.mark.timeout(180)

START_SECONDS = 60.0

Start = Callable[[], Fork]


@pytest.fixture
def start_beat(request: pytest.FixtureRequest, worker_environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start `celery -A project beat` and return when it ticks; all of them end with the test."""
    processes: list[Fork] = []

    def start() -> Fork:
        log = tmp_path / f"beat{len(processes)}.log"
        command = ["celery", "--app", "project", "beat", "--loglevel", "INFO", "--pidfile", ""]
        processes.append(forks.python(*command, log=log, environment={**worker_environment, "DEBUG": "true"}))
        request.node.stash.setdefault(REPORTS, []).append(lambda: (log.name, tail(log)))
        wait_for(lambda: "beat: Starting" in log.read_text(), START_SECONDS, what="Beat to start")
        return processes[-1]

    yield start
    for process in processes:
        kill_group(process)


def every_two_seconds() -> PeriodicTask:
    every, _ = IntervalSchedule.objects.get_or_create(every=2, period="seconds")
    return PeriodicTask.objects.create(name="often", task=NOTE, interval=every, kwargs=json.dumps({"effect": "x"}))


def due_while_nobody_looked() -> tuple[PeriodicTask, datetime]:
    """Return a daily schedule that ran yesterday, and the time a few minutes ago at which it should have run again."""
    due = (timezone.now() - timedelta(minutes=3)).replace(second=0, microsecond=0)
    at = CrontabSchedule.objects.create(minute=str(due.minute), hour=str(due.hour), timezone="UTC")
    schedule = PeriodicTask.objects.create(name="daily", task=NOTE, crontab=at, kwargs=json.dumps({"effect": "x"}))
    PeriodicTask.objects.filter(pk=schedule.pk).update(last_run_at=due - timedelta(days=1) + timedelta(seconds=1))
    return schedule, due


def due_times(schedule: PeriodicTask) -> list[datetime]:
    return list(ScheduleRun.objects.filter(schedule=schedule).order_by("due_at").values_list("due_at", flat=True))


def assert_one_job_for_each_run(schedule: PeriodicTask) -> None:
    jobs = set(Job.objects.filter(task=NOTE).values_list("pk", flat=True))
    runs = list(ScheduleRun.objects.filter(schedule=schedule).values_list("job_id", flat=True))
    assert len(runs) == len(jobs)
    assert set(runs) == jobs


def test_two_beats_fire_once_and_one_is_enough_to_go_on(start_beat: Start) -> None:
    schedule = every_two_seconds()
    first, _ = start_beat(), start_beat()
    wait_for(lambda: len(due_times(schedule)) >= 5, 60)
    kill_group(first)
    before = len(due_times(schedule))
    wait_for(lambda: len(due_times(schedule)) >= before + 2, 30)
    found = due_times(schedule)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert min(gaps) >= timedelta(seconds=1)
    assert_one_job_for_each_run(schedule)


@on_sqlite
def test_what_fell_due_while_no_beat_ran_is_made_up_for_once(start_beat: Start) -> None:
    schedule, due = due_while_nobody_looked()
    beats = [start_beat(), start_beat()]
    wait_for(lambda: due_times(schedule) == [due], 30)
    for beat in beats:
        beat.send_signal(signal.SIGTERM)
        beat.wait(30)
    start_beat()
    always(lambda: due_times(schedule) == [due], 7)
    assert_one_job_for_each_run(schedule)
    schedule.refresh_from_db()
    assert schedule.total_run_count == 1


@on_postgres
def test_a_beat_killed_between_two_runs_goes_on_where_it_stood(start_beat: Start) -> None:
    schedule = every_two_seconds()
    for _ in range(2):
        beat = start_beat()
        before = len(due_times(schedule))
        wait_for(lambda: len(due_times(schedule)) > before, 30)  # noqa: B023  Called at once.
        kill_group(beat)
    assert_one_job_for_each_run(schedule)
    found = due_times(schedule)
    assert len(set(found)) == len(found)
