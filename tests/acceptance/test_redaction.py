"""What a task hides is nowhere to be seen: one secret goes through everything, and is looked for everywhere."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.request import Request, urlopen

import pytest
from celery import current_app
from django.apps import apps
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs.enqueue.dispatcher import flush
from jobs.models import Attempt, DeadLetter, Job
from jobs.operations import tokens
from tests.acceptance.worker import Worker
from tests.brokers.flower import Flower
from tests.databases import Database
from tests.jobs.events.server import Web
from tests.jobs.people import logged_in
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.parametrize("database", ["postgres"], indirect=True),
    pytest.mark.postgres_only,
]

SECRET = "Xyzzy-Plugh-Quuxo"  # noqa: S105 (nobody's)

#: No part of it either: errors and logs shorten what they repeat. None can stand in an id or a time by chance.
PARTS = ("xyzzy", "plugh", "quuxo")

#: How a job of the task ends, and in which state it is then.
ENDS = {
    "return": "succeeded",
    "raise": "dead",
    "look up": "dead",
    "validate": "dead",
    "chain": "dead",
    "give up": "dead",
    "snooze": "scheduled",
    "retry": "dead",
}

#: The ledger and the message must know the arguments: there they are, for the worker to read and nobody else.
KEPT = {("Job", "args"), ("Job", "kwargs"), *(("DeadLetter", name) for name in ("args", "kwargs", "body"))}


def told(text: str) -> str:
    """Return where a text tells of the secret."""
    low = text.lower()
    places = [low.find(part) for part in PARTS if part in low]
    return " … ".join(text[max(0, place - 150) : place + 50] for place in places)


class Wire:
    """Everything that goes over the broker: messages, Celery's events, questions to workers and their answers."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey
        self.commands: list[str] = []

    def __enter__(self) -> Self:
        began = threading.Event()
        threading.Thread(target=self._listen, args=(began,), daemon=True).start()
        assert began.wait(10)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._valkey.client.set("the end", "")

    def _listen(self, began: threading.Event) -> None:
        with self._valkey.client.monitor() as monitor:  # type: ignore[no-untyped-call]
            began.set()
            for command in monitor.listen():
                self.commands.append(command["command"])
                if '"the end"' in command["command"] or "SET the end" in command["command"]:
                    return

    def texts(self) -> Iterator[str]:
        """Return what it carried; of a job's message all but the body, which has its arguments."""
        for command in self.commands:
            start = command.find('{"body"')
            try:
                message, _ = json.JSONDecoder().raw_decode(command[start:]) if start >= 0 else ({}, 0)
            except ValueError:
                message = {}
            if not message:
                yield command
                continue
            body = base64.b64decode(message.pop("body")).decode("utf-8", "replace")
            yield json.dumps(message) if message["headers"].get("task") else f"{message} {body}"


@contextmanager
def a_site(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[[str], str]]:
    """Start a web server; return what its API says to a token that may read."""
    token = tokens.create("reader", ["read"], by="tests")[1]
    web = Web(tmp_path, environment)
    try:
        web.wait_until_ready()

        def ask(path: str) -> str:
            address = f"http://127.0.0.1:{web.port}{path}"
            with urlopen(Request(address, headers={"Authorization": f"Bearer {token}"}), timeout=20) as answer:
                if not path.startswith("/api/events"):
                    return str(answer.read().decode())
                # A stream has no end: what was missed is told, up to the job that is asked for.
                lines = []
                while not (line := answer.readline().decode()).startswith('data: {"id"'):
                    lines.append(line)
                return "".join([*lines, line])

        yield ask
        assert told(web.log.read_text()) == ""
    finally:
        web.stop()


def enqueue() -> dict[str, Job]:
    """Enqueue jobs that tell their secret in every way, ours and foreign ones."""
    current_app.send_task(tasks.pinned.name, kwargs={"pin": {"digits": SECRET}})
    current_app.send_task(tasks.confide.name, args=["raise"], kwargs={"secret": SECRET})
    current_app.send_task("tests.nobody.knows", args=[SECRET])
    for number in range(3):
        tasks.whispered.delay(f"{SECRET} {number}")
    found = {how: tasks.confide.delay(how, SECRET).job for how in ENDS}
    flush()
    return found


def pages(client: Client) -> Iterator[tuple[str, str]]:
    """Return every page that shows jobs or dead letters, as somebody sees it who may see everything."""
    shown = ["overview", "jobs", "dead-letters", "dead-letter-list", "queues", "schedules", "workers", "history"]
    paths = ["/", "/metrics", *(reverse(f"jobs:{name}") for name in shown)]
    models = ["job", "attempt", "deadletter", "worker", "operatoraction"]
    paths += [reverse(f"admin:jobs_{model}_changelist") for model in models]
    jobs, letters = list(Job.objects.all()), list(DeadLetter.objects.all())
    for name in ("jobs:job", "jobs:job-json", "admin:jobs_job_change"):
        paths += [reverse(name, args=[job.pk]) for job in jobs]
    for name in ("jobs:dead-letter", "admin:jobs_deadletter_change"):
        paths += [reverse(name, args=[letter.pk]) for letter in letters]
    for attempt in Attempt.objects.all():
        paths.append(reverse("admin:jobs_attempt_change", args=[attempt.pk]))
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        yield path, answer.text


def rows() -> Iterator[tuple[str, str]]:
    """Return all that the database has, except what must be kept."""
    for model in apps.get_app_config("jobs").get_models():
        for row in model._default_manager.values():
            for name, value in row.items():
                if (model.__name__, name) not in KEPT:
                    shown = bytes(value) if isinstance(value, memoryview) else value
                    yield f"{model.__name__}.{name}", str(shown)


def answers(ask: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Return what the API says."""
    for path in ("jobs?limit=1000", "dead-letters?limit=1000&open=false", "workers", "queues", "schedules"):
        yield path, ask(f"/api/{path}")
    for job in Job.objects.all():
        yield f"job {job.last_error}", ask(f"/api/jobs/{job.pk}")
        yield "event", ask(f"/api/events?job={job.pk}&last_event_id=1-{'0' * 32}")
    for letter in DeadLetter.objects.all():
        yield "letter", ask(f"/api/dead-letters/{letter.pk}")


def found(client: Client) -> Iterator[tuple[str, int]]:
    """Return how many rows each search for the secret finds, for somebody who may see everything."""
    for part in (SECRET, *PARTS):
        for line in (part, f"error:{part}", f"kwargs.secret:{part}", f'kwargs.secret:"{part}"'):
            yield f"list {line}", len(client.get(reverse("jobs:jobs"), {"q": line}).context["listing"].rows)
        for path, key in (("jobs", "jobs"), ("dead-letters", "dead_letters")):
            yield f"{path} {part}", len(client.get(f"/api/{path}", {"q": part}).json()[key])
        for model in ("job", "attempt", "deadletter"):
            answer = client.get(reverse(f"admin:jobs_{model}_changelist"), {"q": part})
            yield f"admin {model} {part}", answer.context["cl"].queryset.count()
        action = {"action": "cancel", "filter": {"kwargs": {"secret": part}}, "dry_run": True}
        yield f"action {part}", client.post("/api/jobs/actions", action, "application/json").json()["matched"]


def questions(worker: Worker) -> Iterator[tuple[str, str]]:
    """Return what a worker answers to `celery inspect`."""
    inspect = current_app.control.inspect(destination=[f"{worker.name}@test"], timeout=10)
    ids = [str(pk) for pk in Job.objects.values_list("pk", flat=True)]
    for name, ask in {
        **{name: getattr(inspect, name) for name in ("active", "reserved", "scheduled", "stats", "report", "revoked")},
        "active, safely": lambda: inspect.active(safe=True),
        "query_task": lambda: inspect.query_task(*ids),
    }.items():
        said = str(ask())
        assert said != "None", name
        yield name, said


def watched(flower: Flower, jobs: list[str]) -> Iterator[tuple[str, str]]:
    """Return what Flower shows."""
    paths = ["", "workers", "tasks", "metrics", "api/workers?refresh=1", "api/tasks?limit=1000"]
    paths += [f"worker/{name}" for name in flower.ask("workers?refresh=1")]
    for path in [*paths, *(f"task/{job}" for job in jobs)]:
        with urlopen(f"http://127.0.0.1:{flower.port}/{path}", timeout=20) as answer:
            yield f"flower {path}", answer.read().decode()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_secret_is_nowhere_to_be_seen(
    pool: str,
    start_worker: Callable[..., Worker],
    worker_environment: dict[str, str],
    database: Database,
    valkey: Valkey,
    tmp_path: Path,
) -> None:
    gate = tmp_path / "gate"
    client = logged_in(User.objects.create_superuser("root@example.com", "a-long-password-4"))
    with (
        Wire(valkey) as wire,
        Flower(tmp_path, worker_environment) as flower,
        a_site(tmp_path, worker_environment) as ask,
    ):
        jobs = enqueue()
        worker = start_worker(pool=pool, concurrency=2, options=["--task-events", "--loglevel", "DEBUG"])
        wait_for(lambda: states(jobs) == ENDS, 60)
        wait_for(lambda: DeadLetter.objects.count() == 7 + 3 + 3 - 1, 30)
        waiting = [tasks.confide.apply_async(("wait", SECRET, str(gate)), unique=f"{SECRET} {n}").id for n in range(6)]
        wait_for(lambda: Job.objects.filter(pk__in=waiting, state="running").count() >= 2, 30)
        everything = [*questions(worker), *watched(flower, [str(job.pk) for job in jobs.values()]), *answers(ask)]
        everything += [*pages(client), *rows(), *((f"wire {number}", text) for number, text in enumerate(wire.texts()))]
        assert {search: number for search, number in found(client) if number} == {}
        gate.touch()
        assert {where: told(text) for where, text in everything if told(text)} == {}
    worker.stop()
    assert told(worker.log_text()) == ""
    assert told(flower.log.read_text()) == ""


def states(jobs: dict[str, Job]) -> dict[str, str]:
    """Return what became of jobs."""
    return {how: Job.objects.get(pk=job.pk).state for how, job in jobs.items()}
