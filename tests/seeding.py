"""A ledger as after some busy days: for screenshots, browser tests and measurements.

Rows are written past the ledger's verbs, as they would be after a history that nobody has the time to live through.
The same number gives the same rows.
"""

import json
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.core.states import FINAL, State
from jobs.models import Attempt, DeadLetter, Job, OperatorAction, Queue, ScheduleRun, Worker
from tests.seeding_texts import OF_BILLING, OF_MAIL, OF_STORES, SUBJECTS, traceback

#: Columns of a job, in the order in which `_row` gives them.
COLUMNS = (
    *("id", "task", "queue", "state", "args", "kwargs", "options", "priority", "attempt", "attempt_base"),
    *("max_retries", "worker_losses", "created_at", "run_at", "dispatched_at", "started_at", "finished_at"),
    *("lease_id", "lease_expires_at", "worker", "last_error", "correlation_id", "parent_id", "progress", "changed_at"),
)
WORKERS = ("worker@web-1", "worker@web-2", "images@gpu-box-with-a-rather-long-host-name.internal")
LONG = "billing.integrations.stripe.webhooks.reconcile_subscription_invoice_line_items"

Draw = random.Random


@dataclass(frozen=True)
class Kind:
    """A task: how often it comes, what it takes, how long it works, how often it gives up, and why."""

    task: str
    queue: str
    share: float
    kwargs: Callable[[Draw], dict[str, Any]]
    seconds: float
    dying: float
    errors: Sequence[str] = OF_STORES


KINDS = (
    Kind(
        "mail.send",
        "email",
        0.5,
        lambda draw: {
            "kind": draw.choice(["verification", "password_reset", "custom"]),
            "to": f"reader{draw.randrange(90_000)}@example.com",
            "user_id": draw.randrange(90_000),
            "subject": draw.choice(SUBJECTS),
        },
        0.12,
        0.004,
        OF_MAIL,
    ),
    Kind("posts.show_variants", "default", 0.2, lambda draw: {"image_id": _hex(draw), "variants": []}, 0.02, 0.001),
    Kind("storage.delete", "storage", 0.1, lambda draw: {"store_name": "assets", "keys": _keys(draw)}, 0.3, 0.002),
    Kind("storage.image.resize", "default", 0.1, lambda draw: {"original": {"key": _hex(draw), "w": 4000}}, 2.4, 0.003),
    Kind("posts.sitemap", "maintenance", 0.001, lambda _: {}, 80.0, 0.02),
    Kind(LONG, "default", 0.099, lambda draw: {"invoice": _hex(draw), "lines": 214}, 0.7, 0.003, OF_BILLING),
)


def seed(jobs: int, *, number: int = 1, days: float = 7.0, now: datetime | None = None) -> None:
    """Fill an empty ledger with so many jobs, and all that belongs to them."""
    now, draw = now or timezone.now(), random.Random(number)  # noqa: S311
    with transaction.atomic():
        _write(row for index in range(jobs) if (row := _row(draw, now, index, jobs, days)))
        # Else the database plans the checks of foreign keys as for an empty table.
        _analyse()
        _tell_of_failures(draw)
        _hire(now)
        _plan(now)
        Queue.objects.create(name="maintenance", paused_at=now - timedelta(minutes=42), paused_by="ada@example.com")
        OperatorAction.objects.create(actor="ada@example.com", action="pause", target={"queue": "maintenance"})
    _analyse()


def _analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _row(draw: Draw, now: datetime, index: int, jobs: int, days: float) -> tuple[Any, ...]:
    kind = draw.choices(KINDS, [kind.share for kind in KINDS])[0]
    # More by day than by night, and the newest last.
    created = now - timedelta(days=days) * (1 - (index + draw.random()) / jobs) ** 1.3
    state = _state(draw, kind, (now - created).total_seconds())
    attempt = {State.SCHEDULED: 0, State.QUEUED: 0, State.DEAD: 6}.get(state, 1)
    if state is State.RETRYING or (attempt == 1 and draw.random() < 0.03):
        attempt = draw.randint(1 if state is State.RETRYING else 2, 5)
    due = _due(created, attempt)
    started = due + timedelta(seconds=draw.lognormvariate(-3.5, 1.6)) if attempt else None
    ended = started + timedelta(seconds=kind.seconds * draw.lognormvariate(0, 0.7)) if started else None
    if state in FINAL and ended is None:
        ended = created + timedelta(seconds=3)
    if state is State.RUNNING:
        started = created + (now - created) * draw.random() * 0.5
    if state in {State.SCHEDULED, State.RETRYING}:
        due = now + timedelta(seconds=draw.expovariate(1 / 300))
    changed = {State.RUNNING: started}.get(state, ended if state in FINAL or state is State.RETRYING else created)
    error = draw.choice(kind.errors).format(n=draw.randrange(10_000)) if attempt > 1 or state is State.RETRYING else ""
    progress = {"done": draw.randrange(40_000), "total": 50_000, "message": "Writing shard 3 of 12"}
    running = state is State.RUNNING
    return (
        uuid.UUID(int=(int(created.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | draw.getrandbits(61)),
        *(kind.task, kind.queue, state.value, "[]", json.dumps(kind.kwargs(draw)), None),
        *(draw.choice([5, 5, 5, 7]), attempt, 0, 5, 0, created, due, created if attempt else None),
        *(started, ended if state in FINAL else None),
        *(_hex(draw) if running else None, now + timedelta(minutes=1) if running else None),
        *(draw.choice(WORKERS) if attempt else "", error[:500], _hex(draw)[:16], None),
        *(json.dumps(progress) if running and kind.seconds > 60 else None, changed),
    )


def _state(draw: Draw, kind: Kind, age: float) -> State:
    if kind.queue == "maintenance" and age < 2500:
        return State.QUEUED
    if age < 30:
        return draw.choices([State.SUCCEEDED, State.RUNNING, State.QUEUED], [6, 1, 4])[0]
    if age < 3000 and draw.random() < 0.02:
        return draw.choice([State.RETRYING, State.SCHEDULED])
    if draw.random() < kind.dying * (4 if age < 9000 else 1):
        return State.DEAD
    return State.CANCELLED if draw.random() < 0.001 else State.SUCCEEDED


def _write(rows: Iterator[tuple[Any, ...]]) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor, cursor.copy(f"COPY jobs_job ({', '.join(COLUMNS)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    jobs = (Job(**{name: _read(name, value) for name, value in zip(COLUMNS, row, strict=True)}) for row in rows)
    Job.objects.bulk_create(jobs, batch_size=1000)


def _read(name: str, value: Any) -> Any:
    return json.loads(value) if name in {"args", "kwargs", "progress"} and value else value


def _tell_of_failures(draw: Draw) -> None:
    """Write the attempts that failed, and the letters of what gave up."""
    unlucky = Job.objects.exclude(last_error="").order_by("created_at")
    attempts: list[Attempt] = []
    letters: list[DeadLetter] = []
    for job in unlucky.iterator(2000):
        attempts += _attempts(draw, job)
        if job.state == State.DEAD:
            letters.append(_letter(draw, job))
    Attempt.objects.bulk_create(attempts, batch_size=1000)
    DeadLetter.objects.bulk_create(letters, batch_size=1000)


def _attempts(draw: Draw, job: Job) -> Iterator[Attempt]:
    failed = job.attempt if job.state in {State.DEAD, State.RETRYING} else job.attempt - 1
    for number in range(1, failed + 1):
        began = _due(job.created_at, number) + timedelta(seconds=0.02)
        ended = began + timedelta(seconds=0.1 + draw.random() * 0.3)
        if number == job.attempt and job.started_at:
            began, ended = job.started_at, job.finished_at or job.changed_at
        name, _, message = job.last_error.partition(": ")
        yield Attempt(
            job_id=job.pk,
            number=number,
            outcome="dead" if job.state == State.DEAD and number == failed else "retrying",
            error_type=name,
            error=message,
            traceback=traceback(job.last_error, deep=draw.random() < 0.02),
            worker=job.worker or WORKERS[0],
            started_at=began,
            finished_at=ended,
        )


def _due(created: datetime, attempt: int) -> datetime:
    """Return when an attempt is due after the ones before it failed, each within half a second."""
    return created + timedelta(seconds=2 ** (attempt - 1) - 1 + 0.5 * (attempt - 1) if attempt > 1 else 0)


def _letter(draw: Draw, job: Job) -> DeadLetter:
    body = json.dumps([job.args, job.kwargs, {}]).encode()
    return DeadLetter(
        id=uuid.UUID(int=draw.getrandbits(128), version=4),
        job_id=job.pk,
        task=job.task,
        queue=job.queue,
        routing_key=job.queue,
        reason="exhausted",
        error=job.last_error,
        attempt=job.attempt,
        correlation_id=job.correlation_id,
        failed_at=job.finished_at or job.changed_at,
        body=body,
        content_type="application/json",
        content_encoding="utf-8",
        headers={"task": job.task, "id": str(job.pk), "lang": "py", "x-original-queue": job.queue},
        properties={"correlation_id": str(job.pk)},
        args=job.args,
        kwargs=job.kwargs,
    )


def _hire(now: datetime) -> None:
    queues = (["default", "email", "storage", "maintenance"], ["default", "email"], ["default"])
    for index, name in enumerate(WORKERS):
        stopped = index == 2
        Worker.objects.create(
            id=uuid.UUID(int=index + 1),
            name=name,
            host=name.partition("@")[2],
            pid=4100 + index,
            queues=queues[index],
            pool="prefork" if index else "thread",
            concurrency=4 + 4 * index,
            started_at=now - timedelta(hours=3 + 30 * index),
            # As if they went on signing: pages look at this for a while.
            seen_at=now - timedelta(minutes=4) if stopped else now + timedelta(hours=1),
            running=0 if stopped else Job.objects.filter(state=State.RUNNING, worker=name).count(),
            memory_bytes=210_000_000 + index * 90_000_000,
            connections={"broker": {"state": "connected", "reconnects": index}, "database": {"state": "connected"}},
        )


def _plan(now: datetime) -> None:
    nightly, _ = CrontabSchedule.objects.get_or_create(
        minute="0", hour="3", day_of_week="0", day_of_month="*", month_of_year="*", timezone="UTC"
    )
    office, _ = CrontabSchedule.objects.get_or_create(
        minute="*/15", hour="8-17", day_of_week="1-5", day_of_month="*", month_of_year="*", timezone="Europe/Berlin"
    )
    often, _ = IntervalSchedule.objects.get_or_create(every=10, period=IntervalSchedule.MINUTES)
    plans: tuple[dict[str, Any], ...] = (
        {"name": "Sitemap", "task": "posts.sitemap", "crontab": nightly},
        {"name": "Orphaned objects", "task": "storage.orphans", "crontab": office},
        {"name": "Posts rendered anew after a release", "task": "posts.render", "interval": often},
        {"name": "Old sitemap", "task": "posts.sitemap", "interval": often, "enabled": False},
    )
    for index, plan in enumerate(plans):
        PeriodicTask.objects.filter(name=plan["name"]).delete()
        schedule = PeriodicTask.objects.create(**plan)
        job = Job.objects.filter(task=plan["task"], finished_at__isnull=False).order_by("-created_at").first()
        if job is not None and index < 3:
            ScheduleRun.objects.create(schedule=schedule, due_at=job.created_at, job_id=job.pk)
            PeriodicTask.objects.filter(pk=schedule.pk).update(last_run_at=job.created_at, total_run_count=17)


def _hex(draw: Draw) -> str:
    return f"{draw.getrandbits(128):032x}"


def _keys(draw: Draw) -> list[str]:
    return [f"posts/{_hex(draw)}/{width}.webp" for width in (320, 640, 1280)]
