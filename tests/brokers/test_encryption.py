"""What a task encrypts stands nowhere in clear: not in the database, not in the broker, not in dead letters or logs."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery import chord, current_app, group
from django.db import connection

from jobs.enqueue.dispatcher import flush
from jobs.models import AttemptLog, DeadLetter, Job, Step
from jobs.operations.dead_letter_actions import replay
from jobs.operations.filters import DeadLetterFilter
from tests.brokers.conftest import IMPATIENT
from tests.brokers.system import System
from tests.tasks_app.sealed import collect, digest, first, plain, sealed, told
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(180)

SECRET = "xyzzy-plugh-90210-sesame"  # noqa: S105 (nobody's)

#: What the tasks leave in the end: each read the secret.
READ = {
    *(f"{how} {digest(SECRET)}" for how in ("good", "dead", "foreign", "after", "member", "follows", "replaced")),
    f"told {digest(SECRET)}",
    f"collected 2 {digest(SECRET)} {digest(SECRET)}",
}


def traces(data: bytes) -> list[str]:
    """Return where the secret stands in some bytes, or in hexadecimal digits of them."""
    low, found = data.lower(), []
    for form in (SECRET.encode(), SECRET.encode().hex().encode(), b"xyzzy", b"90210"):
        at = low.find(form)
        if at >= 0:
            found.append(repr(data[max(0, at - 200) : at + 60]))
    return found


def dumped(system: System) -> Iterator[tuple[str, bytes]]:
    """Return all that the database holds, table by table; of SQLite the file as it is."""
    if system.database.vendor == "sqlite":
        path = Path(connection.settings_dict["NAME"])
        with closing(sqlite3.connect(path)) as own:
            own.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield "the file", path.read_bytes()
        return
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT "{table}"::text FROM "{table}"')  # noqa: S608 (of the database's own)
            yield table, "\n".join(row for (row,) in cursor.fetchall()).encode()


def messages(*queues: str) -> Iterator[tuple[str, bytes]]:
    """Return the messages that wait in queues, and leave them there."""
    with current_app.connection_for_read() as broker:
        channel: Any = broker.default_channel
        for name in queues:
            current_app.amqp.queues[name](channel).declare()
            taken = []
            while (message := channel.basic_get(name)) is not None:
                taken.append(message)
                body = message.body if isinstance(message.body, bytes) else message.body.encode()
                yield name, body + repr((message.headers, message.properties)).encode()
            for message in taken:
                channel.basic_reject(message.delivery_tag, requeue=True)


def enqueue() -> None:
    """Have the secret travel in every way that a call has."""
    sealed.delay("good", SECRET)
    sealed.apply_async(("dead",), {"secret": SECRET}, link_error=told.signature((SECRET,)))
    current_app.send_task(sealed.name, args=["foreign", SECRET])
    (first.s("after") | sealed.s(SECRET)).delay()
    chord([sealed.s("member", SECRET), sealed.s("member", SECRET, more=1)], collect.s(secret=SECRET)).delay()
    first.apply_async(("linked",), link=group(sealed.si("follows", SECRET), sealed.si("follows", SECRET, more=2)))
    plain.apply_async(("x",), link=sealed.si("replaced", SECRET))
    flush()


def left() -> list[tuple[str, str, str]]:
    """Return the jobs that have not ended, and why."""
    return list(Job.objects.exclude(state__in=["succeeded", "dead"]).values_list("task", "state", "last_error"))


def test_what_is_encrypted_stands_nowhere_in_clear(system: System) -> None:
    enqueue()
    waiting = list(messages("default"))
    assert len(waiting) >= 1
    assert [(name, found) for name, data in waiting if (found := traces(data))] == []
    worker = system.start_worker(concurrency=4, options=["--loglevel", "DEBUG", "--task-events"], environment=IMPATIENT)
    wait_for(lambda: set(system.effects.lines()) >= READ, 60, what="all to be done")
    wait_for(lambda: DeadLetter.objects.count() == 1, 30, what="the dead letter")
    wait_for(lambda: left() == [], 60, what="all to have ended")
    # What a job has said comes a moment after its end.
    kept = AttemptLog.objects.filter(text__contains="I was told [redacted]")
    wait_for(kept.exists, what="what the jobs said to be kept")
    assert [(table, found) for table, data in dumped(system) if (found := traces(data))] == []
    assert Step.objects.filter(job__task=sealed.name, name="read").count() >= 1
    before = system.effects.count(f"dead {digest(SECRET)}")
    assert replay(DeadLetterFilter(), actor="tests").changed == 1
    flush()
    wait_for(lambda: system.effects.count(f"dead {digest(SECRET)}") > before, 30, what="the replay")
    worker.stop()
    said = [line for line in worker.log_text().splitlines() if "tests.sealed: I was told" not in line]
    assert traces("\n".join(said).encode()) == []
