"""`stats`, `queues`, `pause`, `resume`, `top`."""

from datetime import timedelta

import pytest
from django.db.models import F

from jobs.cli.verb import Exit
from jobs.core.states import State
from jobs.models import Job, Queue
from tests.jobs.commands.conftest import Run
from tests.jobs.letters import dead_letter
from tests.jobs.rows import in_state, written
from tests.jobs.worker_rows import worker

pytestmark = pytest.mark.django_db


def test_stats_count_every_state(run: Run) -> None:
    for state in State:
        in_state(state)
    answer = run("stats", "--json").answer
    assert answer["states"] == dict.fromkeys(State, 1)
    assert answer["estimated"] == []
    assert all(state in run("stats").out for state in State)


def test_stats_say_what_gave_up_lately(run: Run) -> None:
    dead_letter()
    dead_letter()
    dead_letter(minutes_ago=120, reason="poison")
    answer = run("stats", "--since", "1h", "--json").answer
    assert [(one["reason"], one["count"]) for one in answer["failures"]] == [("exhausted", 2)]


def test_a_queue_shows_its_depth_age_rates_and_workers(run: Run) -> None:
    waiting = written(queue="tests.other")
    Job.objects.filter(pk=waiting.pk).update(run_at=F("run_at") - timedelta(seconds=90))
    written(queue="tests.other", delay=60)
    worker(queues=["tests.other", "default"])
    worker(queues=["tests.other"], silent=True)
    queues = {queue["name"]: queue for queue in run("queues", "--json").answer["queues"]}
    other = queues["tests.other"]
    assert other["depth"] == {"scheduled": 1, "queued": 1, "running": 0, "retrying": 0}
    assert 90 <= other["oldest_waiting_seconds"] < 120
    assert (other["rate_in"], other["rate_out"], other["workers"]) == (0.4, 0, 1)
    assert queues["default"]["workers"] == 1
    assert "tests.other" in run("queues").out


def test_a_queue_is_paused_and_resumed(run: Run) -> None:
    assert run("pause", "tests.other", "--json").answer == {"queue": "tests.other", "paused": True}
    assert Queue.objects.get().paused_at is not None
    assert "by " in run("queues").out
    run("resume", "tests.other")
    assert Queue.objects.get().paused_at is None


def test_a_queue_that_is_none_is_refused(run: Run) -> None:
    ran = run("pause", "emial")
    assert ran.code is Exit.FAILED
    assert "emial" in ran.error
    assert "default" in ran.error


def test_top_draws_queues_workers_and_the_latest_changes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    job = in_state(State.DEAD)
    worker(name="w1@here")
    printed = run("top", "--once").out
    for word in ("dead 1", "tests.other", "w1@here", job.task):
        assert word in printed


def test_who_fills_a_queue_is_told(run: Run) -> None:
    for _ in range(3):
        written(tenant="acme")
    ran = run("shares", "default")
    assert "acme" in ran.out
    assert "100%" in ran.out
    found = run("shares", "default", "--json").answer
    assert (found["tenants"][0]["name"], found["tenants"][0]["waiting"]) == ("acme", 3)
    assert run("shares", "nowhere").code == Exit.FAILED
