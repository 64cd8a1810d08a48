"""Chords whose members' workers die: the body runs once, with all results, in order."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import chord

from jobs.models import Job, JobGroup
from tests.acceptance.engine import IMPATIENT, QUICK, Gate, some_houses
from tests.acceptance.worker import Worker
from tests.servers import Valkey
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
