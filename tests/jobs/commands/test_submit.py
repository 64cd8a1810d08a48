"""`submit`."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.cli.verb import Exit
from jobs.models import Job
from tests.jobs.commands.conftest import Run

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

NOTE = "tests.tasks_app.tasks.note"
ADD = "tests.tasks_app.tasks.public_note"


def test_a_job_is_enqueued_with_its_arguments(run: Run) -> None:
    words = (
        "--arg",
        "effect=x",
        "--arg",
        "times=2",
        "--priority",
        9,
        "--queue",
        "email",
        "--correlation-id",
        "order-1",
    )
    answer = run("submit", ADD, *words, "--json").answer
    job = Job.objects.get()
    assert (str(job.pk), job.kwargs) == (answer["id"], {"effect": "x", "times": 2})
    assert (job.priority, job.queue, job.correlation_id) == (9, "email", "order-1")
    assert answer["state"] == "queued"


def test_a_job_is_enqueued_for_later(run: Run) -> None:
    assert "is scheduled on default" in run("submit", NOTE, "--arg", "effect=x", "--run-at", "2h").out
    assert timedelta(minutes=119) < Job.objects.get().run_at - timezone.now() <= timedelta(hours=2)


def test_a_job_whose_key_waits_is_kept(run: Run) -> None:
    words = ("submit", NOTE, "--arg", "effect=x", "--unique", "k", "--json")
    assert run(*words).answer["id"] == run(*words).answer["id"]


@pytest.mark.parametrize(
    "words, code, says",
    [
        (["nobody"], Exit.FAILED, "There is no task 'nobody'. There are: "),
        ([NOTE], Exit.USAGE, "--arg.effect: is required."),
        ([NOTE, "--arg", "effect=1"], Exit.USAGE, "--arg.effect: Input should be a valid string."),
        ([NOTE, "--arg", "effect=x", "--arg", "colour=red"], Exit.USAGE, "--arg.colour: is no argument of the task"),
    ],
)
def test_what_cannot_be_enqueued_is_said(run: Run, words: list[str], code: Exit, says: str) -> None:
    ran = run("submit", *words)
    assert (ran.code, says in ran.error) == (code, True), ran.error
    assert not Job.objects.exists()


@pytest.mark.parametrize("option, value", [("--run-at", "soon"), ("--queue", "nowhere"), ("--correlation-id", "a b")])
def test_an_option_that_cannot_be_meant_is_said(run: Run, option: str, value: str) -> None:
    ran = run("submit", NOTE, "--arg", "effect=x", option, value)
    assert (f"argument {option}" in ran.error, repr(value) in ran.error) == (True, True)
    assert not Job.objects.exists()
