"""Messages that nobody can read or run: each is parked in the dead-letter queue of its own, and none is dropped."""

import logging
import time
from functools import partial
from typing import Any

from django.db import Error as DatabaseError
from kombu.exceptions import ContentDisallowed, DecodeError

from jobs.core.job_ids import ledger_id
from jobs.core.outcome import Reason
from jobs.deadletters import codec, publisher
from jobs.enqueue.reading import is_from_ledger
from jobs.ledger.attempts import Failure
from jobs.worker.connecting import ConnectedConsumer
from jobs.worker.pending_writes import ParkedJob, UnknownHere, Unparked, pending_writes

logger = logging.getLogger(__name__)

#: At most one line about parked messages in so many seconds; the letters themselves say it all.
LOG_EVERY = 10.0


class ParkingConsumer(ConnectedConsumer):
    """A consumer with a dead-letter queue for messages that cannot be decoded, understood or run.

    The first four methods are Celery's own hooks for such messages, which drop them.
    """

    _parked = 0
    _told_at = float("-inf")

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Called for a message that is no Celery message."""
        self.park(message, Reason.UNREADABLE, "It is no Celery message: it names no task.")

    def on_unknown_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """Called for a message that names a task nobody registered here."""
        headers = message.headers or {}
        error = f"No task {headers.get('task')!r} is registered here."
        if is_from_ledger(headers):
            # Amid a deploy a worker with newer code will know it.
            pending_writes.put(UnknownHere(ledger_id(str(headers["id"])), Failure("UnknownTask", error)))
            message.ack_log_error(logger, self.connection_errors)
            return
        self.park(message, Reason.UNKNOWN_TASK, error)

    def on_invalid_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """Called for a message whose content type is refused, or that has a time or arguments of the wrong kind."""
        unreadable = isinstance(exc, (ContentDisallowed, DecodeError))
        self.park(message, Reason.UNREADABLE if unreadable else Reason.INVALID, exc)

    def on_decode_error(self, message: Any, exc: BaseException) -> None:
        """Called for a message whose body cannot be decoded."""
        self.park(message, Reason.UNREADABLE, exc)

    def park(self, message: Any, reason: Reason, error: BaseException | str) -> None:
        """Park a message for this reason; it is acknowledged when its letter is safe."""
        queue = self._queue_of(message)
        letter = publisher.dead_letter_of(message, queue, reason, error)
        acknowledge = partial(message.ack_log_error, logger, self.connection_errors)
        try:
            publisher.post(letter)
        except (publisher.BrokerGone, DatabaseError) as exc:
            logger.error("A message of queue %s could not be parked (%s); it is tried again.", queue, exc)
            # Acknowledged when its letter is safe. Redis has no books of what it handed out: nobody else has it.
            pending_writes.put(Unparked(letter, partial(self.engine.main.call, acknowledge)))
        else:
            acknowledge()
        self._give_up(message, letter.error)
        self._tell(queue, letter.error)

    def _give_up(self, message: Any, error: str) -> None:
        headers = message.headers
        if is_from_ledger(headers):
            pending_writes.put(ParkedJob(ledger_id(str(headers["id"])), Failure("Unrunnable", error)))

    def _queue_of(self, message: Any) -> str:
        delivery = message.delivery_info or {}
        key = delivery.get("routing_key")
        queues = self.app.amqp.queues
        if key in queues:
            return str(key)
        return next((name for name, queue in queues.items() if queue.routing_key == key), str(key or "default"))

    def _tell(self, queue: str, error: str) -> None:
        self._parked += 1
        now = time.monotonic()
        if now - self._told_at >= LOG_EVERY:
            logger.error(
                "%d messages went to dead-letter queues, the last one to %s: %s",
                self._parked,
                codec.dead_queue(queue),
                error,
            )
            self._parked, self._told_at = 0, now
