"""`schedules list` and `schedules run`."""

import json

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.cli.verb import Exit
from jobs.models import Job
from tests.jobs.commands.conftest import Run
from tests.jobs.letters import NOTE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@pytest.fixture
def schedule() -> PeriodicTask:
    # Those of the site are here or not, by what tests ran before.
    PeriodicTask.objects.all().delete()
    every, _ = IntervalSchedule.objects.get_or_create(every=5, period="minutes")
    return PeriodicTask.objects.create(
        name="a note", task=NOTE, interval=every, kwargs=json.dumps({"effect": "on time"})
    )


def test_schedules_are_listed_with_their_next_runs(run: Run, schedule: PeriodicTask) -> None:
    (found,) = run("schedules", "list", "--json").answer["schedules"]
    assert (found["name"], found["task"], found["enabled"]) == ("a note", NOTE, True)
    assert len(found["next_runs"]) == 5
    assert "every 5 minutes" in run("schedules", "list").out


@pytest.mark.parametrize("by", ["name", "pk"])
def test_a_schedule_is_run_now(run: Run, schedule: PeriodicTask, by: str) -> None:
    answer = run("schedules", "run", getattr(schedule, by), "--json").answer
    assert Job.objects.get(pk=answer["job_id"]).kwargs == {"effect": "on time"}
    (found,) = run("schedules", "list", "--json").answer["schedules"]
    assert (found["last_job_id"], found["last_state"]) == (answer["job_id"], "queued")


def test_a_schedule_that_is_not_there_is_said_so(run: Run) -> None:
    assert run("schedules", "run", "nonsense").code is Exit.FAILED


def test_a_schedule_of_a_task_that_is_none_is_refused(run: Run, schedule: PeriodicTask) -> None:
    PeriodicTask.objects.update(task="gone")
    ran = run("schedules", "run", "a note")
    assert ran.code is Exit.FAILED
    assert "gone" in ran.error
