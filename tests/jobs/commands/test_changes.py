"""`retry`, `cancel` and what protects from doing too much."""

import uuid
from collections.abc import Callable

import pytest

from jobs.cli.verb import Exit
from jobs.core.states import State
from jobs.models import Job, OperatorAction
from tests.jobs.commands.conftest import Run
from tests.jobs.rows import in_state, stepped, written

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


def state(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


def test_one_job_is_retried_without_a_question(run: Run) -> None:
    job = in_state(State.DEAD)
    assert run("retry", job.pk).out == "1 of 1 changed.\n"
    assert state(job) == "queued"


def test_one_job_is_cancelled(run: Run) -> None:
    job = in_state(State.SCHEDULED)
    assert run("cancel", job.pk, "--json").answer == {"matched": 1, "changed": 1, "dry_run": False}
    assert state(job) == "cancelled"


def test_who_did_it_is_on_record(run: Run) -> None:
    job = in_state(State.DEAD)
    run("retry", job.pk)
    action = OperatorAction.objects.get()
    assert (action.action, action.count, action.target) == ("retry", 1, {"ids": [str(job.pk)]})
    assert "command line" in action.actor


def test_a_dry_run_counts_and_changes_nothing(run: Run) -> None:
    jobs = [in_state(State.DEAD) for _ in range(3)]
    assert run("retry", "--state", "dead", "--dry-run", "--json").answer == {
        "matched": 3,
        "changed": 0,
        "dry_run": True,
    }
    assert {state(job) for job in jobs} == {"dead"}
    assert not OperatorAction.objects.exists()


def test_many_are_not_changed_without_a_confirmation(run: Run) -> None:
    jobs = [in_state(State.DEAD) for _ in range(2)]
    ran = run("retry", "--state", "dead")
    assert ran.code is Exit.NOT_CONFIRMED
    assert "Retry 2 jobs?" in ran.error
    assert {state(job) for job in jobs} == {"dead"}


def test_many_are_changed_when_the_person_says_yes(run: Run, types: Callable[[str], None]) -> None:
    jobs = [in_state(State.DEAD) for _ in range(2)]
    types("y")
    assert run("retry", "--state", "dead").code is Exit.DONE
    assert {state(job) for job in jobs} == {"queued"}


@pytest.mark.parametrize("word", ["n", "", "nonsense"])
def test_nothing_is_changed_when_the_person_does_not(run: Run, types: Callable[[str], None], word: str) -> None:
    job = in_state(State.DEAD)
    types(word)
    assert run("retry", "--state", "dead").code is Exit.NOT_CONFIRMED
    assert state(job) == "dead"


def test_yes_beforehand_needs_no_terminal(run: Run) -> None:
    written()
    written()
    assert run("cancel", "--state", "queued", "--yes", "--json").answer["changed"] == 2


def test_everything_must_be_said_out_loud(run: Run) -> None:
    job = in_state(State.DEAD)
    ran = run("retry", "--yes")
    assert ran.code is Exit.USAGE
    assert "--all" in ran.error
    assert run("retry", "--all", "--yes", "--json").answer["changed"] == 1
    assert state(job) == "queued"


def test_a_job_in_the_wrong_state_is_refused_with_the_rule(run: Run) -> None:
    job = in_state(State.SUCCEEDED)
    ran = run("cancel", job.pk)
    assert ran.code is Exit.FAILED
    assert "succeeded" in ran.error
    assert "can be cancelled" in ran.error


def test_a_job_that_is_not_there_is_named(run: Run) -> None:
    missing = uuid.uuid4()
    ran = run("retry", missing)
    assert ran.code is Exit.FAILED
    assert str(missing) in ran.error


def test_a_job_is_retried_from_a_step(run: Run) -> None:
    job = stepped()
    assert run("retry", job.pk, "--from-step", "2").code is Exit.DONE
    assert (state(job), list(job.steps.values_list("number", flat=True))) == ("queued", [1])


def test_a_step_that_is_not_there_is_said(run: Run) -> None:
    job = stepped()
    assert "has no step 3: its steps are 1, 2" in run("retry", job.pk, "--from-step", "3").error
    assert "has no step 1: it has none" in run("retry", in_state(State.DEAD).pk, "--from-step", "1").error
    assert state(job) == "dead"


def test_many_are_retried_from_a_step_and_those_without_it_are_left(run: Run) -> None:
    job, other = stepped(), in_state(State.DEAD)
    assert run("retry", "--state", "dead", "--from-step", "1", "--yes", "--json").answer["changed"] == 1
    assert (state(job), job.steps.count(), state(other)) == ("queued", 0, "dead")


def test_a_jobs_steps_are_shown_with_it(run: Run) -> None:
    job = stepped()
    assert "charge" in run("show", job.pk).out
    assert [one["name"] for one in run("show", job.pk, "--json").answer["steps"]] == ["charge", "send <b>"]
