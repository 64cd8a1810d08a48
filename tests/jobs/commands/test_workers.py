"""`workers` and `probe`."""

import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.cli.verb import Exit
from jobs.reports.workers import Presence, presence
from tests.jobs.commands.conftest import Run
from tests.jobs.worker_rows import worker

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


def test_workers_are_listed_with_what_became_of_them(run: Run) -> None:
    worker(name="a@test")
    worker(name="b@test", silent=True)
    worker(name="c@test", stopped_at=timezone.now())
    worker(name="d@test", seen_at=timezone.now() - timedelta(hours=2))
    found = {one["name"]: one["presence"] for one in run("workers", "--json").answer["workers"]}
    assert found == {"a@test": "alive", "b@test": "silent", "c@test": "stopped"}
    assert [one["name"] for one in run("workers", "--alive", "--json").answer["workers"]] == ["a@test"]
    assert "300 MB" in run("workers").out


def test_nobody_knows_the_connections_of_a_worker_that_is_not_there(run: Run) -> None:
    worker(name="a@test")
    worker(name="b@test", silent=True)
    worker(name="c@test", stopped_at=timezone.now())
    lines = run("workers").out.splitlines()
    assert [line.split()[0] for line in lines if "broker connected" in line] == ["a@test"]


def test_a_worker_that_came_back_under_its_name_is_listed_once(run: Run) -> None:
    now = timezone.now()
    minutes_ago = [now - timedelta(minutes=minutes) for minutes in range(10)]
    killed = worker(name="a@test", started_at=minutes_ago[9], seen_at=minutes_ago[6])
    worker(name="a@test", started_at=minutes_ago[5], seen_at=minutes_ago[4], stopped_at=minutes_ago[4])
    worker(name="a@test", started_at=minutes_ago[3])
    assert [one["presence"] for one in run("workers", "--json").answer["workers"]] == ["alive"]
    assert presence(killed) is Presence.STOPPED


def test_one_of_two_workers_of_a_name_that_falls_silent_is_listed_beside_the_other(run: Run) -> None:
    started = timezone.now() - timedelta(minutes=9)
    worker(name="a@test", started_at=started)
    worker(name="a@test", started_at=started + timedelta(minutes=1), silent=True)
    assert {one["presence"] for one in run("workers", "--json").answer["workers"]} == {"alive", "silent"}


def test_a_worker_that_left_after_it_had_replaced_another_is_what_is_listed(run: Run) -> None:
    now = timezone.now()
    worker(name="a@test", started_at=now - timedelta(minutes=9), silent=True)
    worker(name="a@test", started_at=now - timedelta(minutes=4), stopped_at=now - timedelta(minutes=3))
    assert [one["presence"] for one in run("workers", "--json").answer["workers"]] == ["stopped"]


def test_no_worker_at_all_says_how_to_start_one(run: Run) -> None:
    assert "celery -A project worker" in run("workers").out


def test_a_probe_passes_for_a_worker_of_this_host(run: Run) -> None:
    worker(host=socket.gethostname())
    assert run("probe").code is Exit.DONE


def test_a_probe_fails_for_a_silent_worker(run: Run) -> None:
    worker(host=socket.gethostname(), silent=True)
    ran = run("probe", "--max-age", 60)
    assert ran.code is Exit.FAILED
    assert "last seen" in ran.error


def test_a_probe_asks_for_the_named_worker(run: Run) -> None:
    worker(name="a@test")
    assert run("probe", "--name", "a@test").code is Exit.DONE
    assert run("probe", "--name", "b@test").code is Exit.FAILED


def test_a_probe_does_not_take_a_stopped_worker_for_a_living_one(run: Run) -> None:
    worker(name="a@test", stopped_at=timezone.now())
    assert run("probe", "--name", "a@test").code is Exit.FAILED
