"""Brokers that lose patience, databases that go away, two schedulers: each job's effect happens once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.enqueue.dispatcher import flush
from jobs.models import Attempt, Job
from tests import forks
from tests.acceptance.engine import (
    AWAY,
    IMPATIENT,
    PATIENT,
    QUICK,
    Gate,
    ended,
    happened,
    on_postgres,
    on_sqlite,
    once_each,
    two_houses,
)
from tests.acceptance.worker import Worker
from tests.servers import Postgres, Valkey
from tests.servers.processes import kill_group
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

Start = Callable[..., Worker]
LEASE = float(IMPATIENT["JOBS_LEASE_SECONDS"])


@pytest.fixture
def start(start_worker: Start) -> Iterator[Start]:
    """Start a worker that loses patience soon."""

    def start(pool: str = "threads", *, environment: dict[str, str] | None = None, **options: object) -> Worker:
        return start_worker(pool=pool, options=QUICK, environment={**IMPATIENT, **(environment or {})}, **options)

    yield start
    flush()


@two_houses
def test_a_job_outlives_every_time_out_of_the_broker(start: Start, effects: Effects, gate: Gate, pool: str) -> None:
    """With Kombu's acknowledgements on, and its messages given back to others after a second."""
    impatient_broker = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.settings_of_an_impatient_broker"}
    for name in ("one", "two"):
        start(pool, name=name, concurrency=1, environment=impatient_broker)
    slow = [tasks.gated.delay(f"slow {number}", str(gate)).job for number in range(2)]
    for number in range(2):
        happened(effects, f"slow {number} began")
    # These are fetched and wait behind the slow ones, unacknowledged, until the broker gives them back.
    names = [f"behind {number}" for number in range(10)]
    behind = [result.job for result in tasks.note.delay_many([name] for name in names)]
    always(lambda: len(effects) == 2, 4)
    gate.open()
    assert set(ended(*slow, *behind)) == {"succeeded"}
    always(lambda: len(effects) == len(names) + 4, 1)
    once_each(effects, [*names, *(f"slow {number} {what}" for number in range(2) for what in ("began", "ended"))])
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


@on_postgres
def test_nobody_takes_a_running_job_because_the_database_was_away(
    start: Start, effects: Effects, gate: Gate, postgres: Postgres
) -> None:
    busy = start("prefork", name="busy", concurrency=1)
    job = tasks.gated.delay("running", str(gate)).job
    happened(effects, "running began")
    start("threads", name="idle", concurrency=1)
    connection.close()
    postgres.stop()
    # Every lease runs out meanwhile.
    always(lambda: busy.exit_code is None, LEASE + 2)
    postgres.start()
    wait_for(lambda: ended(tasks.note.delay("witness").job) == ["succeeded"], 30, passing_over=AWAY)
    always(lambda: effects.count("running began") == 1, 3)
    gate.open()
    assert ended(job) == ["succeeded"]
    once_each(effects, ["running began", "running ended", "witness"])
    job.refresh_from_db()
    assert (job.attempt, job.attempts.count()) == (1, 0)


@on_postgres
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_messages_of_others_outlive_a_database_that_is_away(
    start: Start, effects: Effects, gate: Gate, postgres: Postgres, pool: str
) -> None:
    """On Redis nobody but the worker has them once they are fetched: they become rows at once, whatever runs."""
    start(pool, concurrency=1)
    tasks.gated.delay("running", str(gate))
    happened(effects, "running began")
    names = [f"foreign {number}" for number in range(3)]
    for name in names:
        current_app.send_task(tasks.note.name, [name])
    wait_for(lambda: Job.objects.filter(task=tasks.note.name).count() == len(names), 20, what="them to be jobs")
    connection.close()
    postgres.stop()
    gate.open()
    current_app.send_task(tasks.note.name, ["foreign meanwhile"])
    postgres.start()
    for name in names:
        happened(effects, name, seconds=60)
    wait_for(lambda: ended(tasks.note.delay("witness").job) == ["succeeded"], 30, passing_over=AWAY)
    happened(effects, "foreign meanwhile", seconds=60)
    once_each(effects, [*names, "foreign meanwhile", "running began", "running ended"])


@on_postgres
def test_nobody_takes_a_running_job_because_the_broker_hangs(
    start: Start, effects: Effects, gate: Gate, valkey: Valkey
) -> None:
    for name in ("one", "two"):
        start("prefork", name=name, concurrency=1)
    jobs = [tasks.gated.delay(f"running {number}", str(gate)).job for number in range(2)]
    for number in range(2):
        happened(effects, f"running {number} began")
    # Maintenance has much to hand to the broker, which answers nothing.
    valkey.pause()
    names = [f"meanwhile {number}" for number in range(4)]
    later = [tasks.note.apply_async([name], countdown=0.5 * n).job for n, name in enumerate(names)]
    always(lambda: len(effects) == 2, LEASE + 3)
    valkey.resume()
    always(lambda: all(effects.count(f"running {number} began") == 1 for number in range(2)), 4)
    gate.open()
    assert set(ended(*jobs, *later, seconds=60)) == {"succeeded"}
    once_each(effects, [*names, *(f"running {number} ended" for number in range(2))])
    assert set(Job.objects.values_list("attempt", flat=True)) == {1}


@on_postgres
def test_the_more_urgent_job_runs_first(start: Start, effects: Effects) -> None:
    for priority in (5, 0, 9, 3, 7):
        tasks.note.apply_async([f"first of {priority}"], priority=priority)
        tasks.note.apply_async([f"second of {priority}"], priority=priority)
    wait_for(lambda: not Job.objects.filter(dispatched_at=None).exists())
    start("prefork", concurrency=1)
    wait_for(lambda: len(effects) == 10, 20)
    assert effects.lines() == [
        f"{which} of {priority}" for priority in (9, 7, 5, 3, 0) for which in ("first", "second")
    ]


@contextmanager
def beat(variables: dict[str, str], log: Path) -> Iterator[None]:
    """Run Beat meanwhile."""
    process = forks.python("celery", "-A", "project", "beat", "-l", "INFO", log=log, environment=variables)
    try:
        yield
    finally:
        kill_group(process)


@on_sqlite
def test_what_beat_schedules_becomes_jobs(
    start: Start, effects: Effects, worker_environment: dict[str, str], tmp_path: Path
) -> None:
    every_second = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    for name, task in (("ours", tasks.note.name), ("plain", tasks.plain.name)):
        PeriodicTask.objects.create(name=name, task=task, interval=every_second, args=f'["{name}"]')
    PeriodicTask.objects.create(
        name="urgent", task=tasks.note.name, interval=every_second, args='["urgent"]', one_off=True, priority=9
    )
    start("threads", concurrency=2)
    with beat(worker_environment, tmp_path / "beat.log"):
        wait_for(lambda: effects.count("ours") >= 2 and effects.count("plain") >= 2, 40)
    wait_for(lambda: not Job.objects.exclude(state="succeeded").exists())
    rows: Any = Job.objects.values_list("task", "args", "priority")
    assert {(task, args[0], priority) for task, args, priority in rows} == {
        (tasks.note.name, "ours", 5),
        (tasks.note.name, "urgent", 9),
    }
    assert effects.count("ours") == Job.objects.filter(priority=5).count()
    once_each(effects, ["urgent"])


@pytest.mark.parametrize("database", ["postgres", "sqlite"], indirect=True)
def test_a_pool_is_served_while_the_broker_is_away(start: Start, effects: Effects, gate: Gate, valkey: Valkey) -> None:
    """What ends meanwhile is recorded meanwhile, and limits hold for what goes on, for no other."""
    worker = start("prefork", concurrency=4)
    # A worker waits half a minute at most for its broker; these lose patience much sooner.
    short = [tasks.lasting.apply_async([f"short {number}", 2], time_limit=4).job for number in range(2)]
    endless = tasks.overlong.apply_async(["endless", str(gate)], time_limit=4).job
    warned = tasks.warned.apply_async(["warned", str(gate)], soft_time_limit=3).job
    for name in ("short 0", "short 1", "endless", "warned"):
        happened(effects, f"{name} began")
    valkey.kill()
    wait_for(lambda: "out of reach" in worker.log_text(), 20)
    assert set(ended(*short, seconds=10)) == {"succeeded"}
    for job in (endless, warned):
        wait_for(job.attempts.exists, 20, what="its limit")
    valkey.start()
    gate.open()
    assert set(ended(*short, endless, warned, seconds=60)) == {"succeeded"}
    once_each(effects, [f"short {number} {what}" for number in range(2) for what in ("began", "ended")])
    assert [job.attempts.count() for job in (*short, endless, warned)] == [0, 0, 1, 1]


@on_postgres
def test_a_job_that_ended_in_time_is_not_timed_out_by_a_worker_that_comes_late(
    start_worker: Start, effects: Effects
) -> None:
    """Frozen, or kept from its loop by whatever it may be: limits are judged by what the processes have sent."""
    worker = start_worker(pool="prefork", concurrency=3, options=QUICK, environment=PATIENT)
    hard = [tasks.lasting.apply_async([f"hard {number}", 1.5], time_limit=3).job for number in range(2)]
    soft = tasks.lasting.apply_async(["soft", 1.5], soft_time_limit=3).job
    names = ("hard 0", "hard 1", "soft")
    for name in names:
        happened(effects, f"{name} began")
    always(lambda: len(effects) == 3, 0.5)
    worker.signal(signal.SIGSTOP)
    for name in names:
        happened(effects, f"{name} ended")
    # Until each limit has passed.
    always(lambda: len(effects) == 6, 3)
    worker.signal(signal.SIGCONT)
    assert set(ended(*hard, soft)) == {"succeeded"}
    assert [job.attempts.count() for job in (*hard, soft)] == [0, 0, 0]
    once_each(effects, [f"{name} {what}" for name in names for what in ("began", "ended")])


@on_postgres
def test_a_pool_is_served_while_the_broker_hangs_and_while_the_database_is_away_too(
    start: Start, effects: Effects, valkey: Valkey, postgres: Postgres
) -> None:
    worker = start("prefork", concurrency=2)
    first = [tasks.lasting.apply_async([f"first {number}", 2], time_limit=4).job for number in range(2)]
    for number in range(2):
        happened(effects, f"first {number} began")
    valkey.pause()
    assert set(ended(*first, seconds=15)) == {"succeeded"}
    valkey.resume()
    second = [tasks.lasting.apply_async([f"second {number}", 2], time_limit=4).job for number in range(2)]
    for number in range(2):
        happened(effects, f"second {number} began", seconds=40)
    connection.close()
    valkey.kill()
    postgres.stop()
    for number in range(2):
        happened(effects, f"second {number} ended")
    # Until each limit has passed.
    always(lambda: worker.exit_code is None, 3)
    postgres.start()
    wait_for(lambda: set(ended(*second, seconds=15)) == {"succeeded"}, 15, passing_over=AWAY)
    valkey.start()
    assert ended(tasks.note.delay("last").job, seconds=60) == ["succeeded"]
    assert Attempt.objects.count() == 0
    names = [f"{which} {number}" for which in ("first", "second") for number in range(2)]
    once_each(effects, [f"{name} {what}" for name in names for what in ("began", "ended")])


@on_postgres
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_ended_in_time_is_not_timed_out_while_the_database_is_away(
    start: Start, effects: Effects, pool: str, postgres: Postgres
) -> None:
    """A failure, and a success that something follows, are recorded by whoever ran the job."""
    worker = start(pool, concurrency=2)
    followed = tasks.lasting.apply_async(["followed", 2], time_limit=4, link=tasks.note.si("follower")).job
    failing = tasks.lasting_and_broken.apply_async(["failing", 2], time_limit=4, soft_time_limit=3).job
    for name in ("followed", "failing"):
        happened(effects, f"{name} began")
    connection.close()
    postgres.stop()
    for name in ("followed", "failing"):
        happened(effects, f"{name} ended")
    # Until each limit has passed.
    always(lambda: worker.exit_code is None, 3)
    postgres.start()
    wait_for(lambda: ended(followed, failing, seconds=15) == ["succeeded", "dead"], 20, passing_over=AWAY)
    assert [attempt.error_type for attempt in Attempt.objects.all()] == ["Broken"]
    happened(effects, "follower")
    once_each(effects, ["followed ended", "failing ended", "follower"])
