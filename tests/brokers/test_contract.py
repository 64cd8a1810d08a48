"""What holds on every broker: how jobs, plain tasks and foreign messages reach a worker, and who answers when asked."""

import json
import statistics
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from celery import chain, current_app
from django.db import transaction

from jobs.core.states import FINAL
from jobs.models import DeadLetter, Job
from jobs.operations.actions import cancel_jobs
from jobs.operations.dead_letter_actions import replay, replay_corrected
from jobs.operations.filters import DeadLetterFilter, JobFilter
from jobs.reports import workers as reports
from jobs.worker.pace import MOST_AT_ONCE
from jobs.worker.pool import CHUNK_JOBS
from tests.brokers.system import System
from tests.tasks_app import tasks
from tests.waiting import always, paced, wait_for

pytestmark = pytest.mark.timeout(120)

_names = count(1)


@pytest.fixture
def effect() -> str:
    """A name for what this test does."""
    return f"effect {next(_names)}"


def succeeded(*ids: Any) -> Callable[[], bool]:
    """Return a condition: all these jobs have succeeded."""
    wanted = [str(job_id) for job_id in ids]
    return lambda: Job.objects.filter(id__in=wanted, state="succeeded").count() == len(wanted)


def waited(job: Job) -> float:
    """Return the seconds from a job's call to its beginning."""
    assert job.started_at is not None
    return (job.started_at - job.created_at).total_seconds()


def test_a_job_runs_once(shared: System, effect: str) -> None:
    job = tasks.note.delay(effect)
    wait_for(succeeded(job.id))
    assert shared.effects.count(effect) == 1


def test_a_job_of_a_transaction_that_was_rolled_back_does_not_run(shared: System, effect: str) -> None:
    with transaction.atomic():
        tasks.note.delay(effect)
        transaction.set_rollback(True)
    wait_for(succeeded(tasks.note.delay(f"{effect} later").id))
    assert shared.effects.count(effect) == 0


def test_a_failed_attempt_is_tried_again(shared: System, effect: str) -> None:
    job = tasks.flaky.delay(effect, failures=2)
    wait_for(succeeded(job.id))
    assert shared.effects.count(effect) == 3
    assert job.job.attempt == 3


def test_a_job_for_later_does_not_run_before(shared: System, effect: str) -> None:
    job = tasks.note.apply_async(args=[effect], countdown=1)
    wait_for(succeeded(job.id))
    assert waited(job.job) >= 1


def test_many_jobs_of_one_call_run_once_each(shared: System, effect: str) -> None:
    names = [f"{effect} {number}" for number in range(300)]
    jobs = tasks.note.delay_many([{"effect": name} for name in names])
    wait_for(succeeded(*(job.id for job in jobs)), 30)
    assert [name for name in names if shared.effects.count(name) != 1] == []


def test_a_chain_runs_in_order(shared: System, effect: str) -> None:
    chain(tasks.step.s(None, f"{effect} a"), tasks.step.s(f"{effect} b"), tasks.step.s(f"{effect} c")).delay()
    wait_for(lambda: shared.effects.count(f"{effect} b>{effect} c"))
    steps = [line for line in shared.effects.lines() if line.split(">")[-1].startswith(f"{effect} ")]
    assert steps == [f"start>{effect} a", f"{effect} a>{effect} b", f"{effect} b>{effect} c"]


def test_a_plain_task_runs_without_a_job(shared: System, effect: str) -> None:
    before = Job.objects.count()
    tasks.plain.delay(effect)
    wait_for(lambda: shared.effects.count(effect))
    assert Job.objects.count() == before


def test_a_plain_task_waits_for_its_time(shared: System, effect: str) -> None:
    sent_at = time.monotonic()
    tasks.plain.apply_async([effect], countdown=1.2)
    wait_for(lambda: shared.effects.count(effect))
    assert time.monotonic() - sent_at > 1


def test_a_foreign_message_becomes_a_job(shared: System, effect: str) -> None:
    task_id = str(uuid.uuid4())
    current_app.send_task("tests.tasks_app.tasks.note", kwargs={"effect": effect}, task_id=task_id)
    wait_for(succeeded(task_id))
    assert shared.effects.count(effect) == 1


@pytest.mark.parametrize("name", ["x" * 300, "x-\u00fc" * 100], ids=["long", "long in bytes"])
def test_a_job_with_a_header_that_a_broker_cannot_carry_runs_and_holds_up_no_other(
    shared: System, effect: str, name: str
) -> None:
    job = tasks.note.apply_async([effect], countdown=1).job
    Job.objects.filter(pk=job.pk).update(options={"headers": {name: 1}})
    wait_for(succeeded(job.pk), 20)
    wait_for(succeeded(tasks.note.apply_async([f"{effect} after"], countdown=0.1).id), 10)
    assert reports.refused_queues(reports.alive()) == {}


@pytest.mark.parametrize("priority", [1, 7])
def test_a_foreign_message_keeps_its_priority(shared: System, effect: str, priority: int) -> None:
    task_id, on_redis = str(uuid.uuid4()), shared.broker.name == "valkey"
    # What its producer must say: on Redis the lowest number comes first.
    number = 9 - priority if on_redis else priority
    current_app.send_task("tests.tasks_app.tasks.note", [effect], task_id=task_id, priority=number)
    wait_for(succeeded(task_id))
    assert Job.objects.get(id=task_id).priority == priority


def test_a_foreign_message_without_a_priority_has_that_of_its_task(shared: System, effect: str) -> None:
    task_id = str(uuid.uuid4())
    current_app.send_task("tests.tasks_app.tasks.elsewhere", [effect], task_id=task_id, queue="tests.other")
    wait_for(succeeded(task_id))
    assert Job.objects.get(id=task_id).priority == 2


def test_a_message_delivered_three_times_runs_once(shared: System, effect: str) -> None:
    task_id = str(uuid.uuid4())
    for _ in range(3):
        current_app.send_task("tests.tasks_app.tasks.note", kwargs={"effect": effect}, task_id=task_id)
    wait_for(succeeded(task_id))
    wait_for(succeeded(tasks.note.delay(f"{effect} after them").id))
    always(lambda: shared.effects.count(effect) == 1, 0.5)


def test_a_job_that_gives_up_leaves_a_dead_letter(shared: System, effect: str) -> None:
    job = tasks.broken.delay(effect)
    letter = wait_for(lambda: DeadLetter.objects.filter(job_id=job.id).first())
    assert letter is not None
    assert job.job.state == "dead"
    assert (letter.queue, letter.args) == ("default", [effect])


def test_a_message_that_names_an_unknown_task_is_kept(shared: System, effect: str) -> None:
    current_app.send_task("no.such.task", args=[effect])
    letter = wait_for(lambda: DeadLetter.objects.filter(task="no.such.task", args=[effect]).first())
    assert letter is not None
    assert letter.job_id is None


# --- Fairness --------------------------------------------------------------------------------------

FLOOD = 3000


def test_ten_jobs_of_one_tenant_do_not_wait_for_the_flood_of_another(shared: System, effect: str) -> None:
    tasks.of_tenant.delay_many([("big", f"{effect} {number}") for number in range(FLOOD)])
    wait_for(lambda: shared.effects.count(f"big {effect} 0"))
    few = tasks.of_tenant.delay_many([("small", f"{effect} {number}") for number in range(10)])
    # Their rows are there; from now on it is their turn as often as the other's.
    before = sum(line.startswith(f"big {effect} ") for line in shared.effects.lines())
    wait_for(succeeded(*(job.id for job in few)), 60)
    lines = [line for line in shared.effects.lines() if line.startswith((f"big {effect} ", f"small {effect} "))]
    last = max(place for place, line in enumerate(lines) if line.startswith("small"))
    # Alone they would be ten; in turns they are twenty, besides what the worker had claimed by then, for its processes
    # and in them.
    assert last - before < 100 + MOST_AT_ONCE + 4 * CHUNK_JOBS < FLOOD // 2
    cancel_jobs(JobFilter(task=tasks.of_tenant.name), actor="ann")
    wait_for(lambda: not Job.objects.filter(task=tasks.of_tenant.name).exclude(state__in=FINAL).exists(), 30)


# --- Properties of messages ------------------------------------------------------------------------

#: All that a call can say; whose a message is RabbitMQ would refuse of another user.
PROPERTIES: dict[str, Any] = {
    "reply_to": "answers",
    "app_id": "shop",
    "type": "order.paid",
    "user_id": "ann",
    "content_encoding": "us-ascii",
}
OWN = {"tenant": 7, "tags": ["a", None, {"b": 1.5}]}


def read_by(system: System, effect: str) -> list[dict[str, Any]]:
    """Return what each attempt has read of its request."""
    return [json.loads(line[len(effect) + 1 :]) for line in system.effects.lines() if line.startswith(f"{effect} {{")]


def test_what_a_call_says_is_read_on_each_attempt_and_after_a_replay(shared: System, effect: str) -> None:
    options: dict[str, Any] = {"priority": 7, "correlation_id": "request-1", "expires": 3600, "headers": {"x-own": OWN}}
    job = tasks.reading.apply_async((effect,), **PROPERTIES, **options)
    letter = wait_for(lambda: DeadLetter.objects.filter(job_id=job.id).first(), 15)
    assert letter is not None
    assert letter.headers["x-own"] == OWN
    assert letter.headers["x-user-id"] == "ann"
    assert {name: letter.properties.get(name) for name in ("reply_to", "app_id", "type")} == {
        name: PROPERTIES[name] for name in ("reply_to", "app_id", "type")
    }
    expires_at = job.job.expires_at
    assert expires_at is not None
    assert replay(DeadLetterFilter(ids=(letter.pk,)), actor="ann").changed == 1
    wait_for(succeeded(job.id))
    first, second, third = read_by(shared, effect)
    wanted = {**PROPERTIES, "priority": 7, "job_correlation_id": "request-1", "x-own": OWN}
    assert first == second == {**wanted, "expires": expires_at.isoformat()}
    # An operator's replay is not to expire at once.
    assert third == {**wanted, "expires": None}


def test_a_copy_with_other_arguments_keeps_what_the_call_said(shared: System, effect: str) -> None:
    job = tasks.reading.apply_async((effect,), priority=7, headers={"x-own": OWN}, **PROPERTIES)
    letter = wait_for(lambda: DeadLetter.objects.filter(job_id=job.id).first(), 15)
    assert letter is not None
    copy = replay_corrected(letter, [f"{effect} again"], {}, actor="ann")
    row = wait_for(lambda: Job.objects.filter(pk=copy, attempt__gte=1).first())
    assert row is not None
    assert (row.priority, (row.options or {})["properties"], (row.options or {})["headers"]) == (
        7,
        PROPERTIES,
        {"x-own": OWN},
    )


def test_a_foreign_messages_properties_are_its_jobs(shared: System, effect: str) -> None:
    task_id = str(uuid.uuid4())
    foreign = {name: PROPERTIES[name] for name in ("reply_to", "app_id", "type")}
    current_app.send_task("tests.tasks_app.tasks.reading", [effect], task_id=task_id, headers={"x-own": OWN}, **foreign)
    read = wait_for(lambda: read_by(shared, effect))[0]
    assert {name: read[name] for name in (*foreign, "x-own")} == {**foreign, "x-own": OWN}


# --- Remote control and events ---------------------------------------------------------------------


def inspect() -> Any:
    return current_app.control.inspect(destination=["shared@test"], timeout=10)


def test_a_worker_answers(shared: System, effect: str) -> None:
    assert inspect().ping() == {"shared@test": {"ok": "pong"}}

    def takes_more_ahead() -> bool:
        """Return whether it takes more messages ahead than at first, as it does while jobs are quick and come alone."""
        wait_for(succeeded(tasks.note.delay(effect).id))
        return bool(inspect().stats()["shared@test"]["prefetch_count"] >= 16)

    wait_for(takes_more_ahead, 30)


def test_a_worker_answers_the_same_client_again_and_again(shared: System) -> None:
    for _ in range(5):
        assert current_app.control.ping(destination=["shared@test"], timeout=10)


def test_a_worker_tells_what_it_runs(shared: System, effect: str) -> None:
    gate = shared.gate(effect)
    job = tasks.gated.delay(effect, str(gate))
    wait_for(lambda: shared.effects.count(f"{effect} began"))
    active = inspect().active()["shared@test"]
    gate.touch()
    assert [task["id"] for task in active] == [job.id]
    wait_for(succeeded(job.id))


def test_a_worker_takes_and_leaves_queues_on_demand(shared: System, effect: str) -> None:
    control = current_app.control
    control.cancel_consumer("tests.other", destination=["shared@test"], reply=True, timeout=10)
    job = tasks.elsewhere.delay(effect)
    always(lambda: shared.effects.count(effect) == 0, 1)
    control.add_consumer("tests.other", destination=["shared@test"], reply=True, timeout=10)
    wait_for(succeeded(job.id))
    assert shared.effects.count(effect) == 1


def test_whoever_listens_hears_events(shared: System, effect: str) -> None:
    heard: list[dict[str, Any]] = []
    with current_app.connection_for_read() as connection, closing(events(connection, heard)) as listening:
        next(listening)  # A heartbeat: from here on it listens.
        current_app.control.enable_events(destination=["shared@test"], reply=True, timeout=10)
        job = tasks.note.delay(effect)

        def all_heard() -> bool:
            next(listening)
            kinds = {event["type"] for event in heard if event.get("uuid") == job.id}
            return kinds >= {"task-received", "task-started", "task-succeeded"}

        wait_for(all_heard)
    current_app.control.disable_events(destination=["shared@test"], reply=True, timeout=10)


def events(connection: Any, heard: list[dict[str, Any]]) -> Any:
    """Return a generator that collects events, a step with each one."""
    receiver = current_app.events.Receiver(connection, handlers={"*": heard.append})
    return receiver.itercapture(limit=None, timeout=10, wakeup=False)


def test_an_idle_worker_begins_at_once(shared: System) -> None:
    jobs = [tasks.noop.delay() for _ in paced(20, seconds=0.05)]
    wait_for(succeeded(*(job.id for job in jobs)))
    rows = Job.objects.filter(id__in=[job.id for job in jobs])
    assert statistics.median(waited(row) for row in rows) < 0.25
