"""`list` and `show`."""

import json
import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from jobs.cli.verb import Exit
from jobs.core.states import State
from jobs.ledger import attempts
from jobs.models import Job
from tests.jobs import verbs
from tests.jobs.commands.conftest import Run
from tests.jobs.rows import LEASE, claimed, in_state, written

pytestmark = pytest.mark.django_db


def ids(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [job["id"] for job in answer["jobs"]]


def test_jobs_are_listed_the_newest_first(run: Run) -> None:
    older, newer = written(), written()
    Job.objects.filter(pk=older.pk).update(created_at=F("created_at") - timedelta(hours=1))
    assert ids(run("list", "--json").answer) == [str(newer.pk), str(older.pk)]


def test_a_table_shows_what_a_person_needs(run: Run) -> None:
    job = in_state(State.RETRYING)
    printed = run("list").out
    for word in (str(job.pk), "retrying", job.task, "default", "1/6", "ValueError: it failed"):
        assert word in printed


def test_an_empty_list_says_so(run: Run) -> None:
    assert run("list").out == "No job matches.\n"
    assert run("list", "--json").answer == {"jobs": [], "next_cursor": None}


@pytest.mark.parametrize(
    "words",
    [
        ["--state", "dead"],
        ["--queue", "tests.other"],
        ["--task", "tests.tasks_app.tasks.note"],
        ["--text", "VIOLIN"],
        ["--arg", "number=42"],
        ["--arg", "name=violin"],
        ["--error", "it FAILED"],
        ["--correlation-id", "abc"],
        ["--since", "30m"],
    ],
)
def test_a_filter_leaves_what_matches(run: Run, words: list[str]) -> None:
    wanted = claimed(
        queue="tests.other",
        task="tests.tasks_app.tasks.note",
        kwargs=json.dumps({"number": 42, "name": "violin"}),
        correlation_id="abc",
    )
    assert verbs.die(wanted.pk, LEASE, attempts.Failure("ValueError", "it failed"))
    other = in_state(State.SUCCEEDED)
    Job.objects.filter(pk=other.pk).update(created_at=F("created_at") - timedelta(hours=1))
    assert ids(run("list", "--json", *words).answer) == [str(wanted.pk)]


def test_pages_follow_each_other_while_jobs_arrive(run: Run) -> None:
    jobs = [str(written().pk) for _ in range(5)]
    first = run("list", "--json", "--limit", 2).answer
    written()
    second = run("list", "--json", "--limit", 2, "--cursor", first["next_cursor"]).answer
    third = run("list", "--json", "--limit", 2, "--cursor", second["next_cursor"]).answer
    found = ids(first) + ids(second) + ids(third)
    assert [found.count(job) for job in jobs] == [1] * 5


def test_a_cursor_from_elsewhere_is_refused(run: Run) -> None:
    ran = run("list", "--cursor", "nonsense")
    assert ran.code is Exit.USAGE
    assert "nonsense" in ran.error


def test_jobs_of_one_moment_are_all_listed_once(run: Run) -> None:
    jobs = sorted(str(written().pk) for _ in range(5))
    Job.objects.update(created_at=timezone.now())
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = run("list", "--json", "--limit", 2, "--cursor", cursor).answer
        found += ids(answer)
        cursor = answer["next_cursor"]
    assert sorted(found) == jobs


def test_one_job_is_shown_with_its_attempts(run: Run) -> None:
    job = in_state(State.DEAD)
    answer = run("show", job.pk, "--json").answer
    assert answer["state"] == "dead"
    assert [(attempt["number"], attempt["error"]) for attempt in answer["attempts"]] == [(1, "it failed")]
    assert answer["calls"] == 1
    assert "Traceback" in run("show", job.pk).out


def test_a_job_that_is_not_there_is_said_so(run: Run) -> None:
    ran = run("show", uuid.uuid4())
    assert ran.code is Exit.FAILED
    assert "There is no job" in ran.error


def test_nothing_from_a_job_drives_the_terminal(run: Run) -> None:
    job = claimed(kwargs=json.dumps({"name": "\x1b[2Jgone\u202e"}))
    assert verbs.die(job.pk, LEASE, attempts.Failure("E\x1b]0;x\x07", "a\x1b[31mb", "t\x1b[31mb"))
    for printed in (run("list").out, run("show", job.pk).out):
        assert "\x1b" not in printed
        assert "\x07" not in printed
        assert "\u202e" not in printed
