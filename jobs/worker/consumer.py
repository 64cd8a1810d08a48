"""The worker's consumer: reads messages, and delivers the jobs that they bring. No message can stop it."""

import uuid
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer
from kombu.common import ignore_errors
from kombu.exceptions import ContentDisallowed, DecodeError

from jobs.core.delivery import Malformed, NoCall, read_body, read_headers
from jobs.core.job_ids import ledger_id
from jobs.core.outcome import Reason
from jobs.enqueue.message import LEDGER_HEADER
from jobs.enqueue.reading import is_chunk, is_from_ledger, read_chunk
from jobs.errors import InvalidArguments
from jobs.ledger.enqueue import NewJob
from jobs.worker.deliveries import Foreign, wanted
from jobs.worker.engine import Engine
from jobs.worker.parking import ParkingConsumer
from jobs.worker.pauses import Pauses


class JobsConsumer(ParkingConsumer):
    """Celery's consumer for jobs. What it cannot read it parks; whatever becomes of its broker, it stays."""

    class Blueprint(Consumer.Blueprint):
        """Celery's steps, without its delayed delivery for RabbitMQ: 28 queues, and the ledger keeps the time."""

        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)

    def __init__(self, on_task_request: Callable[[Any], Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(on_task_request, *args, **kwargs)
        self.pauses = Pauses(self)
        self.engine = Engine(self.app, self)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        """Return Celery's handler of messages, guarded: whatever is wrong with one, the next is read."""
        handle = super().create_task_handler(*args, **kwargs)
        # Kombu counts KeyError among the connection errors; a message without an id is none.
        connection_errors = tuple(error for error in self.connection_errors if error is not KeyError)

        def guarded(message: Any) -> Any:
            try:
                if self._brings_jobs(message):
                    return None
                self._check(message)
                return handle(message)
            except Malformed as exc:
                self.park(message, Reason.UNREADABLE if isinstance(exc, NoCall) else Reason.INVALID, str(exc))
                return None
            except (ContentDisallowed, DecodeError) as exc:
                self.park(message, Reason.UNREADABLE, exc)
                return None
            except (InvalidArguments, MemoryError, *connection_errors):
                raise
            except Exception as exc:  # noqa: BLE001 (any error in reading a message is that message's)
                self.park(message, Reason.UNREADABLE, exc)
                return None

        return guarded

    def _brings_jobs(self, message: Any) -> bool:
        """Deliver the jobs that a message of the ledger names. Returns false for any other message.

        Whatever else such a message holds, the rows are the truth.
        """
        headers = message.headers
        if not is_from_ledger(headers):
            return False
        if is_chunk(headers):
            self.deliver(message, read_chunk(message.payload))
            return True
        task = headers.get("task")
        if task not in self.strategies or not hasattr(self.app.tasks.get(task), "check_arguments"):
            return False
        self.deliver(message, [ledger_id(headers["id"])], task)
        return True

    def deliver(self, message: Any, job_ids: Sequence[uuid.UUID], task: str = "") -> None:
        """Have the jobs claimed that a message brings; it is acknowledged when that is answered.

        Args:
            message: kombu's.
            job_ids: of its jobs.
            task: of all of them; empty where the message does not say it.
        """
        self.engine.deliver(wanted(message, job_ids, task, self))

    def adopt(self, message: Any, job: NewJob) -> None:
        """Have the row written of a message that came without; then it is delivered."""
        (only,) = wanted(message, [job.id], job.task, self, is_foreign=True)

        def park(exc: Exception) -> None:
            self.engine.main.call(partial(self.park, message, Reason.INVALID, exc))

        self.engine.adopt(Foreign(job, only, park))

    def _check(self, message: Any) -> None:
        """Let a message of a task that is known here say only what it can. Raises Malformed where it says more."""
        headers = message.headers
        if isinstance(headers, dict) and "task" in headers:
            if headers["task"] in self.strategies:
                message.headers = read_headers(headers, LEDGER_HEADER)
                read_body(message.payload)
            return
        # Protocol 1 has all of it in the body.
        payload = message.payload
        if isinstance(payload, dict) and payload.get("task") in self.strategies:
            read = read_headers(payload, LEDGER_HEADER)
            payload.clear()
            payload.update(read)

    def update_strategies(self) -> None:
        """Called whenever the consumer of tasks is about to be made: it gets the queues it may and can consume."""
        super().update_strategies()
        self.pauses.select()

    def stop(self) -> None:
        """Called when the worker stops: nothing is fetched any more."""
        self.pauses.end()
        super().stop()
        if give_back := getattr(getattr(self.task_consumer, "channel", None), "give_back", None):
            # It may have asked for more a moment ago: that is for others.
            ignore_errors(self, give_back)

    def add_task_queue(self, queue: str, *args: Any, **options: Any) -> None:
        """Called by remote control: consume one more queue."""
        self.pauses.add_named(queue, *args, **options)

    def cancel_task_queue(self, queue: str) -> None:
        """Called by remote control: consume one queue less."""
        self.pauses.cancel(queue)
