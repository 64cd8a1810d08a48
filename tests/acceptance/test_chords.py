"""Chords whose members' workers die: the body runs once, with all results, in order."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import chord
from django.conf import settings
from django.db import connection, transaction

from jobs.models import Job, JobGroup
from tests.acceptance.engine import IMPATIENT, QUICK, Gate, some_houses
from tests.acceptance.worker import Worker
from tests.servers import Valkey
from tests.servers.processes import Process, kill_group, spawn, tail
from tests.tasks_app.canvas import listed, number, slow_number
from tests.tasks_app.effects import Effects
from tests.waiting import wait_for

MEMBERS = 24


def started(effects: Effects) -> int:
    return sum(line.startswith("member") and " by " not in line for line in effects.lines())


def bodies(effects: Effects) -> list[str]:
    return [line for line in effects.lines() if line.startswith("listed")]


def a_chord(gate: Gate) -> Any:
    slow = [slow_number.s(value, f"member {value}", str(gate)) for value in range(2)]
    return chord([*slow, *(number.s(value) for value in range(2, MEMBERS))])(listed.s())


def has_run_once(effects: Effects) -> None:
    wait_for(lambda: bodies(effects), 60, what="the body to run")
    wait_for(lambda: Job.objects.filter(task=listed.name, state="succeeded").count() == 1, 30, what="its record")
    assert bodies(effects) == [f"listed {list(range(MEMBERS))}"]
    group = JobGroup.objects.get()
    assert (group.size, group.succeeded, group.dead) == (MEMBERS, MEMBERS, 0)
    assert Job.objects.filter(task=listed.name).count() == 1


@some_houses
def test_the_body_runs_once_though_children_are_killed(
    start_worker: Callable[..., Worker], effects: Effects, tmp_path: Path, pool: str
) -> None:
    worker = start_worker(options=QUICK, pool=pool, environment=IMPATIENT)
    gate = Gate(tmp_path / "gate")
    a_chord(gate)
    wait_for(lambda: started(effects) >= 2, 30, what="slow members to begin")
    if pool == "prefork":
        for pid in worker.children():
            os.kill(pid, signal.SIGKILL)
    gate.open()
    has_run_once(effects)


@some_houses
def test_the_body_runs_once_though_the_worker_is_killed_and_the_broker_wiped(
    start_worker: Callable[..., Worker], effects: Effects, tmp_path: Path, pool: str, valkey: Valkey
) -> None:
    worker = start_worker(options=QUICK, pool=pool, environment=IMPATIENT)
    gate = Gate(tmp_path / "gate")
    a_chord(gate)
    wait_for(lambda: started(effects) >= 2, 30, what="slow members to begin")
    worker.kill()
    valkey.client.flushall()
    gate.open()
    start_worker(options=QUICK, pool=pool, environment=IMPATIENT)
    has_run_once(effects)


#: A web process that calls a chord, and dies when it has: its dispatcher has published nothing, or not all.
CALLING = f"""
import django, os, signal
django.setup()
from celery import chord
from tests.tasks_app.canvas import listed, number
chord([number.s(value) for value in range({MEMBERS})])(listed.s())
os.kill(os.getpid(), signal.SIGKILL)
"""


def how_many(what: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {what}")  # noqa: S608 (the test's own words)
        return int(cursor.fetchone()[0])


@contextmanager
def a_web_process(environment: dict[str, str], log: Path) -> Iterator[Process]:
    process = spawn([sys.executable, "-c", CALLING], log=log, environment=environment, directory=settings.BASE_DIR)
    try:
        yield process
    finally:
        kill_group(process)


@pytest.mark.parametrize("database", ["postgres", "sqlite"], indirect=True)
def test_a_chord_whose_caller_is_killed_after_its_commit_is_there_whole(
    start_worker: Callable[..., Worker], worker_environment: dict[str, str], effects: Effects, tmp_path: Path
) -> None:
    with a_web_process(worker_environment, tmp_path / "web.log") as web:
        assert web.wait(60) == -signal.SIGKILL, tail(tmp_path / "web.log")
    assert Job.objects.count() == MEMBERS
    start_worker(options=QUICK, environment=IMPATIENT)
    has_run_once(effects)


@pytest.mark.parametrize("database", ["postgres"], indirect=True)
@pytest.mark.parametrize("table", ["jobs_group", "jobs_job"])
def test_of_a_chord_whose_caller_is_killed_amid_its_enqueue_nothing_is_there(
    worker_environment: dict[str, str], tmp_path: Path, table: str
) -> None:
    with a_web_process(worker_environment, tmp_path / "web.log") as web:
        with transaction.atomic(), connection.cursor() as cursor:
            # It waits with what it has written for this lock.
            cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
            wait_for(lambda: how_many("pg_locks WHERE NOT granted"), 60, what="the web process to be amid its enqueue")
            kill_group(web)
        others = "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        wait_for(lambda: how_many(f"{others} AND xact_start IS NOT NULL") == 0, 20, what="its transaction to end")
    assert (Job.objects.count(), JobGroup.objects.count()) == (0, 0)
