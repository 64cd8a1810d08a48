"""What a worker must still tell ledger or broker, besides the ends of its jobs: kept in memory until it is told."""

import logging
import queue
import threading
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from celery import current_app
from django.db import transaction

from jobs.compose.changes import follow
from jobs.compose.followers import enqueue_error_links
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.deadletters import archiver, publisher
from jobs.deadletters.codec import DeadLetterMessage
from jobs.ledger import attempts, hold, maintain
from jobs.ledger.attempts import Failure
from jobs.ledger.sql import RowLocked

logger = logging.getLogger(__name__)


class Record(Protocol):
    """Something still to be told."""

    def write(self) -> None:
        """Tell it. Raises the error of database or broker where it must be tried again."""


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """A job whose message was parked before it could be claimed: its task is unknown here, or its message broken."""

    job_id: uuid.UUID
    failure: Failure

    def write(self) -> None:
        """Queued → dead with its error links enqueued; its letter is on its way already."""
        with transaction.atomic():
            if not attempts.give_up_queued(self.job_id, self.failure):
                return
            job = maintain.job(self.job_id)
            if job is not None:
                app = current_app._get_current_object()  # noqa: SLF001 (not the proxy)
                enqueue_error_links(app, job)
                follow(app, job, State.DEAD)


@dataclass(frozen=True, slots=True)
class UnknownHere:
    """A job whose task this worker does not know: a worker with newer code may."""

    job_id: uuid.UUID
    failure: Failure

    def write(self) -> None:
        """Hold it back."""
        hold.hold_queued(self.job_id, HeldBy.UNKNOWN_TASK, self.failure)


@dataclass(frozen=True, slots=True)
class Unparked:
    """A message that cannot be run, and whose letter the broker did not take.

    Attributes:
        parked: called when the letter is safe.
    """

    letter: DeadLetterMessage
    parked: Callable[[], object]

    def write(self) -> None:
        """Try again; while the broker still does not take it, into the table itself, where letters end anyway."""
        try:
            publisher.post(self.letter)
        except publisher.BrokerGone:
            archiver.store([self.letter.message], self.letter.queue)
        self.parked()


@dataclass(frozen=True, slots=True)
class Unsent:
    """Jobs whose messages this worker had fetched, and used up or lost."""

    job_ids: Collection[uuid.UUID]

    def write(self) -> None:
        """Have them dispatched again at once."""
        maintain.redispatch(self.job_ids)


class Losses:
    """The records not yet written, in order. Filled by any thread, emptied by maintenance."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Record] = queue.SimpleQueue()
        self._kept: list[Record] = []
        self._lock = threading.Lock()
        self._passed_by: dict[int, Record] = {}
        self.arrived = threading.Event()

    def put(self, record: Record) -> None:
        """Keep a record until it is written; wakes maintenance."""
        self._queue.put(record)
        self.arrived.set()

    def are_there(self) -> bool:
        """Return whether there is something to be written."""
        return bool(self._kept) or not self._queue.empty()

    def unwritten(self) -> list[Record]:
        """Return what is still to be written."""
        with self._lock:
            while not self._queue.empty():
                self._kept.append(self._queue.get_nowait())
            return list(self._kept)

    def write_all(self) -> None:
        """Write every record, each on its own. Raises the first error; what failed is kept.

        What concerns a row that somebody else's transaction holds is kept too, and is no error.
        """
        error: Exception | None = None
        for entry in self.unwritten():
            try:
                entry.write()
            except RowLocked as exc:
                self._pass_by(entry, exc)
            except Exception as exc:  # noqa: BLE001 (kept and raised below)
                error = error or exc
            else:
                with self._lock:
                    self._kept.remove(entry)
                self._passed_by.pop(id(entry), None)
        if error is not None:
            raise error

    def _pass_by(self, entry: Record, exc: RowLocked) -> None:
        # Said once of each entry, which is looked at every second.
        if id(entry) not in self._passed_by:
            self._passed_by[id(entry)] = entry
            logger.warning("%s", exc)


pending_writes = Losses()
