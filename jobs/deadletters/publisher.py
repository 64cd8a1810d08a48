"""Sending dead letters: parked with the broker first, and only then is a job dead or a message acknowledged."""

import os
import threading
import uuid
from collections.abc import Sequence
from typing import Any

from celery import current_app
from django.db import transaction
from django.utils import timezone

from jobs.compose.changes import follow
from jobs.compose.followers import enqueue_error_links
from jobs.core.outcome import Dead, Reason
from jobs.core.states import State
from jobs.deadletters import archiver, codec
from jobs.deadletters.codec import DeadLetterMessage
from jobs.enqueue.message import RawMessage
from jobs.enqueue.publishers import publisher_for
from jobs.ledger import maintain
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.record import record_many


class BrokerGone(Exception):
    """Raised when the broker did not take a dead letter: the job keeps its lease and is tried again."""


class _Post:
    """This process's connection for dead letters; a forked child gets one of its own."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.publisher = publisher_for(current_app._get_current_object())  # noqa: SLF001 (the proxy is thread-bound)


_post: _Post | None = None


def _current() -> _Post:
    global _post  # noqa: PLW0603 (one per process by nature)
    if _post is None or _post.pid != os.getpid():
        _post = _Post()
    return _post


def send(queue: str, messages: Sequence[RawMessage]) -> list[RawMessage]:
    """Hand messages to the broker as they are. Returns those that its protocol cannot carry.

    Raises:
        BrokerGone: it did not confirm.
    """
    current = _current()
    with current.lock:
        try:
            return current.publisher.publish_raw(queue, messages)
        except Exception as exc:
            raise BrokerGone(f"{type(exc).__name__}: {exc}") from exc


def give_up(job_id: uuid.UUID, lease_id: str, reason: Reason, failure: Failure, *, lost_worker: bool = False) -> bool:
    """Running → dead with its error links enqueued, once the broker has its letter. False where the lease was lost.

    Raises:
        BrokerGone: nothing has changed; try again while the lease lasts.
    """
    job = maintain.running_job(job_id, lease_id)
    if job is None:
        return False
    post(codec.from_job(job, job.attempt, reason, failure, timezone.now()))
    with transaction.atomic():
        end = Ended(job_id, lease_id, job.attempt, Dead(reason), failure, lost_worker)
        if job_id not in record_many([end]).became:
            return False
        app = current_app._get_current_object()  # noqa: SLF001 (not the proxy)
        enqueue_error_links(app, job)
        follow(app, job, State.DEAD)
    return True


def dead_letter_of(message: Any, queue: str, reason: Reason, error: BaseException | str) -> DeadLetterMessage:
    """Return the letter of a message that nobody can read or run, for the dead-letter queue of the one it came from."""
    return codec.from_message(message, queue, reason, error, timezone.now())


def post(letter: DeadLetterMessage) -> None:
    """Hand a letter to the broker. Raises as `post_many`: then nothing may be forgotten."""
    post_many(letter.queue, [letter])


def post_many(queue: str, letters: Sequence[DeadLetterMessage]) -> None:
    """Hand letters of one queue to the broker. What its protocol cannot carry goes straight into the table.

    Raises:
        BrokerGone: the broker did not confirm them all.
        DatabaseError: the table is out of reach.
    """
    if odd := send(codec.dead_queue(queue), [letter.message for letter in letters]):
        archiver.store(odd, queue)
