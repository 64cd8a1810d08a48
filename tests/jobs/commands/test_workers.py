"""`workers` and `probe`."""

import socket
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.cli.verb import Exit
from tests.jobs.commands.conftest import Run
from tests.jobs.worker_rows import worker

pytestmark = pytest.mark.django_db


def test_workers_are_listed_with_what_became_of_them(run: Run) -> None:
    worker(name="a@test")
    worker(name="b@test", silent=True)
    worker(name="c@test", stopped_at=timezone.now())
    worker(name="d@test", seen_at=timezone.now() - timedelta(hours=2))
    found = {one["name"]: one["presence"] for one in run("workers", "--json").answer["workers"]}
    assert found == {"a@test": "alive", "b@test": "silent", "c@test": "stopped"}
    assert [one["name"] for one in run("workers", "--alive", "--json").answer["workers"]] == ["a@test"]
    assert "300 MB" in run("workers").out


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
