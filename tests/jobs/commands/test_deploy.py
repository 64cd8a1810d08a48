"""`check-deploy`."""

import uuid

import pytest

from jobs.cli.verb import Exit
from jobs.core.states import State
from jobs.models import Job
from tests.jobs.commands.conftest import Run
from tests.jobs.rows import in_state, written
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


def test_code_that_can_run_all_jobs_may_be_deployed(run: Run) -> None:
    tasks.note.delay("a")
    tasks.note.apply_async(["b"], countdown=60)
    done = run("check-deploy")
    assert (done.code, done.out.strip()) == (Exit.DONE, "This code can run all jobs that have not ended.")


def test_jobs_of_a_task_that_is_gone_or_takes_other_arguments_are_named(run: Run) -> None:
    gone = [written(task="tests.gone") for _ in range(2)]
    other = written(task="tests.tasks_app.tasks.note", args='["a", "b"]')
    done = run("check-deploy", "--json")
    assert done.code == Exit.FAILED
    first, second = done.answer["unrunnable"]
    assert first == {
        "task": "tests.gone",
        "why": "no task of this name is registered here",
        "jobs": 2,
        "example": str(min(job.pk for job in gone)),
    }
    assert (second["jobs"], second["example"]) == (1, str(other.pk))
    assert "do not fit the task's signature" in second["why"]
    assert "3 jobs that have not ended cannot be run by this code" in run("check-deploy").error


def test_jobs_that_have_ended_and_arguments_that_a_worker_can_read_are_no_reason(run: Run) -> None:
    Job.objects.filter(pk=in_state(State.DEAD).pk).update(task="tests.gone")
    tasks.note.apply_async([uuid.uuid4()])
    assert run("check-deploy").code == Exit.DONE
