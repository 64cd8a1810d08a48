"""`progress(done, total, message)`: a task says how far it is."""

import asyncio
import contextlib
import json
import threading
import time
import uuid
from math import inf
from typing import Any

from celery._state import get_current_worker_task
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from jobs.ledger.attempts import note_progress
from jobs.tasks.redaction import HIDDEN, hidden_names, without_hidden
from jobs.worker import sessions
from jobs.worker.cancelling import check_cancelled

#: Seconds between two writes for one job; what is said in between costs nothing.
EVERY = 0.5

_last = threading.local()


def progress(done: float, total: float | None = None, message: str = "") -> None:
    """Say how far the job at hand is; shown live on its page and in the API.

    Cheap enough for a tight loop: at most one write each half second, and the last word always (`done` equal to
    `total`). Outside of a job, and while the database is away, it does nothing. On PostgreSQL it is seen at once also
    where the task is in a transaction, and neither becomes part of that nor keeps the job's row locked; on SQLite it is
    seen when the transaction has ended.

    Where the job was cancelled it ends it, as `check_cancelled()` does.

    Args:
        done: how much is done, in any unit.
        total: how much there is, in the same unit; None where nobody knows.
        message: a few words on what is being done.

    Raises:
        ValueError: a number is negative or none at all.
        Cancel: the job was cancelled.
    """
    for name, value in (("done", done), ("total", total)):
        if value is not None and (type(value) not in {int, float} or not 0 <= value < inf):
            raise ValueError(f"progress(): {name}={value!r} is not valid: it must be a number, zero or more.")
    check_cancelled()
    task: Any = get_current_worker_task()
    request: Any = getattr(task, "request", None)
    job_id: uuid.UUID | None = getattr(request, "job_id", None)
    if job_id is None or not _is_time(job_id, last_word=done == total):
        return
    text = json.dumps({"done": done, "total": total, "message": _shown(task, message)[:200]})
    if _is_in_event_loop():
        # There Django lets nobody use a connection.
        writer = threading.Thread(target=_note_aside, args=(job_id, request.lease_id, text))
        writer.start()
        writer.join()
    else:
        _note(job_id, request.lease_id, text, sessions.for_the_engine())


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _note_aside(job_id: uuid.UUID, lease_id: str, text: str) -> None:
    own = connections[DEFAULT_DB_ALIAS]
    try:
        _note(job_id, lease_id, text, own)
    finally:
        own.close()


def _note(job_id: uuid.UUID, lease_id: str, text: str, over: BaseDatabaseWrapper) -> None:
    # A job does not fail for want of a progress bar.
    with contextlib.suppress(DatabaseError):
        note_progress(job_id, lease_id, text, over)


def _shown(task: Any, message: str) -> str:
    """Return a message as people may see it: without what the task hides."""
    if not message or not hidden_names(task.name):
        return message
    if task.batch:
        # Of the jobs of a batch, the request knows only the first one's arguments.
        return HIDDEN
    return without_hidden(task.name, task.request.args or (), task.request.kwargs or {}, message)


def _is_time(job_id: uuid.UUID, *, last_word: bool) -> bool:
    now = time.monotonic()
    if not last_word and getattr(_last, "job_id", None) == job_id and now - _last.at < EVERY:
        return False
    _last.job_id, _last.at = job_id, now
    return True
