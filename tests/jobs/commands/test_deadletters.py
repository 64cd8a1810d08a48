"""`deadletters list`, `show`, `replay`, `discard`."""

import json
import uuid

import pytest

from jobs.cli.verb import Exit
from jobs.core.outcome import Reason
from jobs.models import DeadLetter, Job
from tests.jobs.commands.conftest import Run
from tests.jobs.letters import NOTE, dead_letter, job_of, letter_of_a_dead_job

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


def ids(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [letter["id"] for letter in answer["dead_letters"]]


def test_letters_are_listed_the_latest_first(run: Run) -> None:
    older, newer = dead_letter(minutes_ago=5), dead_letter()
    assert ids(run("deadletters", "list", "--json").answer) == [str(newer.pk), str(older.pk)]
    assert "ValueError: it failed" in run("deadletters", "list").out


@pytest.mark.parametrize(
    "words",
    [["--queue", "email"], ["--task", NOTE], ["--reason", "poison"], ["--text", "violin"], ["--since", "30m"]],
)
def test_a_filter_leaves_what_matches(run: Run, words: list[str]) -> None:
    wanted = dead_letter(queue="email", task=NOTE, reason=Reason.POISON, kwargs={"name": "violin"})
    dead_letter(minutes_ago=60)
    assert ids(run("deadletters", "list", "--json", *words).answer) == [str(wanted.pk)]


def test_one_letter_is_shown(run: Run) -> None:
    letter = letter_of_a_dead_job()
    answer = run("deadletters", "show", letter.pk, "--json").answer
    assert answer["job_id"] == str(letter.job_id)
    assert answer["reason"] == "exhausted"
    assert run("deadletters", "show", uuid.uuid4()).code is Exit.FAILED


def test_a_replay_puts_the_job_back(run: Run) -> None:
    letter = letter_of_a_dead_job()
    assert run("deadletters", "replay", letter.pk, "--json").answer["changed"] == 1
    assert job_of(letter).state == "queued"


def test_replaying_twice_is_refused_unless_forced(run: Run) -> None:
    letter = letter_of_a_dead_job()
    run("deadletters", "replay", letter.pk)
    job_of(letter).delete()
    ran = run("deadletters", "replay", letter.pk)
    assert ran.code is Exit.FAILED
    assert "replayed before" in ran.error
    assert run("deadletters", "replay", letter.pk, "--force", "--json").answer["matched"] == 1


def test_all_that_match_are_replayed_after_a_count(run: Run) -> None:
    letters = [letter_of_a_dead_job(queue="email") for _ in range(3)]
    other = letter_of_a_dead_job()
    assert run("deadletters", "replay", "--queue", "email", "--dry-run", "--json").answer["matched"] == 3
    assert run("deadletters", "replay", "--queue", "email").code is Exit.NOT_CONFIRMED
    assert run("deadletters", "replay", "--queue", "email", "--yes", "--json").answer["changed"] == 3
    assert all(letter.job and letter.job.state == "queued" for letter in DeadLetter.objects.filter(queue="email"))
    assert job_of(other).state == "dead"
    assert len(letters) == 3


def test_a_letter_with_other_arguments_becomes_a_new_job(run: Run) -> None:
    letter = dead_letter(task=NOTE, kwargs={"effect": 1})
    answer = run("deadletters", "replay", letter.pk, "--kwargs", json.dumps({"effect": "right"}), "--json").answer
    assert Job.objects.get(pk=answer["job_id"]).kwargs == {"effect": "right"}
    letter.refresh_from_db()
    assert str(letter.replay_job_id) == answer["job_id"]


def test_other_arguments_must_fit_the_task(run: Run) -> None:
    letter = dead_letter(task=NOTE, kwargs={"effect": 1})
    ran = run("deadletters", "replay", letter.pk, "--kwargs", json.dumps({"wrong": 1}))
    assert ran.code is Exit.FAILED
    assert "do not fit" in ran.error


def test_discarded_letters_are_listed_no_more(run: Run) -> None:
    letter = letter_of_a_dead_job()
    assert run("deadletters", "discard", letter.pk, "--json").answer["changed"] == 1
    assert ids(run("deadletters", "list", "--json").answer) == []
    assert ids(run("deadletters", "list", "--dealt-with", "--json").answer) == [str(letter.pk)]
    assert job_of(letter).state == "dead"


def test_discarding_everything_must_be_said_out_loud(run: Run) -> None:
    dead_letter()
    assert run("deadletters", "discard", "--yes").code is Exit.USAGE
    assert run("deadletters", "discard", "--all").code is Exit.NOT_CONFIRMED
    assert DeadLetter.objects.get().is_open
