"""The worker's consumer, so that no message can stop it and none is dropped: what cannot be read is parked."""

import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from celery.concurrency.prefork import TaskPool as ProcessPool
from celery.worker import state
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from celery.worker.strategy import hybrid_to_proto2, proto1_to_proto2
from django.db import Error as DatabaseError
from kombu.common import ignore_errors
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError

from jobs.conf import brokers
from jobs.core.backoff import pause
from jobs.core.delivery import Malformed, NoCall, read_body, read_headers
from jobs.core.job_ids import ledger_id
from jobs.core.outcome import Reason
from jobs.core.priority import on_the_wire
from jobs.core.queue_names import RULE, is_queue_name
from jobs.deadletters import codec, publisher
from jobs.enqueue.brokers import url_of
from jobs.enqueue.message import LEDGER_HEADER, is_chunk, is_from_ledger, read_chunk
from jobs.enqueue.set_aside import told
from jobs.errors import InvalidArguments
from jobs.ledger.attempts import Failure
from jobs.ledger.enqueue import NewJob
from jobs.worker.adopt import new_job
from jobs.worker.claimer import Delivery, Foreign, Wanted
from jobs.worker.engine import Engine
from jobs.worker.pauses import Pauses
from jobs.worker.pending_writes import ParkedJob, UnknownHere, Unparked, pending_writes
from jobs.worker.revoke import Revoked
from jobs.worker.waits import Waits

logger = logging.getLogger(__name__)

#: The first pause before a broker out of reach is tried again, and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0

#: Refusals by the broker that lie further apart than this, in seconds, are not counted as one row.
SAME_REFUSAL = 2 * LONGEST_PAUSE

#: A worker whose own steps fail so many times in a row ends, for whoever starts it anew.
MOST_FAULTS = 5

#: At most one line about parked messages in so many seconds; the letters themselves say it all.
LOG_EVERY = 10.0


class JobsConsumer(Consumer):
    """Celery's consumer, with a dead-letter queue for messages that cannot be decoded, understood or run.

    The first four methods are Celery's own hooks for such messages, which drop them.
    """

    class Blueprint(Consumer.Blueprint):
        """Celery's steps, without its delayed delivery for RabbitMQ: 28 queues, and the ledger keeps the time."""

        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)

    connection: Any
    channel_errors: tuple[type[BaseException], ...]
    #: How often in a row the broker was out of reach.
    connection_attempts = 0
    #: What the broker refuses the whole worker, until it does not.
    refusal = ""
    _refusals = 0
    _refused_at = float("-inf")
    _was_ready = False
    _parked = 0
    _told_at = float("-inf")

    def __init__(self, on_task_request: Callable[[Any], Any], *args: Any, **kwargs: Any) -> None:
        self._calls: deque[Callable[[], Any]] = deque()
        super().__init__(on_task_request, *args, **kwargs)
        #: What the broker says no with. What Celery goes on after is any error: see `_set_back`.
        self._refusal_errors = self.channel_errors
        self.channel_errors = (*self.channel_errors, Exception)
        self.pauses = Pauses(self)
        self._waits = Waits(self)
        self.engine = Engine(self.app, self)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Called for a message that is no Celery message."""
        self._park(message, Reason.UNREADABLE, "It is no Celery message: it names no task.")

    def on_unknown_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """Called for a message that names a task nobody registered here."""
        headers = message.headers or {}
        error = f"No task {headers.get('task')!r} is registered here."
        if is_from_ledger(headers):
            # Amid a deploy a worker with newer code will know it.
            pending_writes.put(UnknownHere(ledger_id(str(headers["id"])), Failure("UnknownTask", error)))
            message.ack_log_error(logger, self.connection_errors)
            return
        self._park(message, Reason.UNKNOWN_TASK, error)

    def on_invalid_task(self, body: Any, message: Any, exc: BaseException) -> None:
        """Called for a message whose content type is refused, or that has a time or arguments of the wrong kind."""
        unreadable = isinstance(exc, (ContentDisallowed, DecodeError))
        self._park(message, Reason.UNREADABLE if unreadable else Reason.INVALID, exc)

    def on_decode_error(self, message: Any, exc: BaseException) -> None:
        """Called for a message whose body cannot be decoded."""
        self._park(message, Reason.UNREADABLE, exc)

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
                self._park(message, Reason.UNREADABLE if isinstance(exc, NoCall) else Reason.INVALID, str(exc))
                return None
            except (ContentDisallowed, DecodeError) as exc:
                self._park(message, Reason.UNREADABLE, exc)
                return None
            except (InvalidArguments, MemoryError, *connection_errors):
                raise
            except Exception as exc:  # noqa: BLE001 (any error in reading a message is that message's)
                self._park(message, Reason.UNREADABLE, exc)
                return None

        return guarded

    def call_soon(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Have the main thread call something, in the order of asking: Kombu's hub keeps such calls in a set."""
        if not self.hub:
            return super().call_soon(p, *args, **kwargs)
        self._calls.append(partial(p, *args, **kwargs))
        return self.hub.call_soon(self._make_calls)

    def _make_calls(self) -> None:
        # What one that fails leaves behind is called the next time.
        while self._calls:
            self._calls.popleft()()

    def update_strategies(self) -> None:
        """Called whenever the consumer of tasks is about to be made: it gets the queues it may and can consume."""
        super().update_strategies()
        self.pauses.select()

    def register_with_event_loop(self, hub: Any) -> None:
        """Called before the worker's loop begins, when it knows the pool."""
        super().register_with_event_loop(hub)
        self._waits.begin_loop()

    def on_ready(self) -> None:
        """Called whenever the worker's loop begins: the broker lets it."""
        super().on_ready()
        self._was_ready = True
        self.refusal = ""

    def stop(self) -> None:
        """Called when the worker stops: nothing is fetched any more."""
        self.pauses.end()
        super().stop()

    def add_task_queue(
        self, queue: str, exchange: Any = None, exchange_type: Any = None, routing_key: Any = None, **options: Any
    ) -> None:
        """Called by remote control: consume one more queue."""
        if not is_queue_name(queue):
            logger.error("This worker cannot consume queue %r: it must be %s.", queue, RULE)
            return
        if brokers() and url_of(self.app, queue) != self.app.conf.broker_read_url:
            logger.error("This worker cannot consume queue %r: JOBS_BROKERS gives it to another broker.", queue)
            return
        queues = self.app.amqp.queues
        if queue not in queues:
            queues.add(
                queue,
                exchange=exchange or queue,
                exchange_type=exchange_type or "direct",
                routing_key=routing_key,
                **options,
            )
        self.pauses.add(queues[queue])

    def cancel_task_queue(self, queue: str) -> None:
        """Called by remote control: consume one queue less."""
        queues = self.app.amqp.queues
        self.pauses.cancel(getattr(queues.aliases.get(queue), "name", queue))

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Called when the worker could not connect, or when something else failed on the way."""
        if isinstance(exc, self.connection_errors):
            super().on_connection_error_before_connected(exc)
        else:
            self._set_back(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Called when the connection is lost, or when something else ended the worker's loop."""
        if isinstance(exc, self.connection_errors):
            super().on_connection_error_after_connected(exc)
            return
        broken, self.connection = self.connection, None
        ignore_errors(broken, broken.close)
        self._set_back(exc)

    def _set_back(self, exc: Exception) -> None:
        """Have the worker connect anew in a while, where Celery would end it.

        The broker refuses what it cannot do without: it may have become a replica, or be out of disk. That is tried for
        ever. Or a step of the worker has failed, by a fault of ours or of a library: the loop begins anew. Raises the
        error of a worker that never was ready, and of one that goes on failing.
        """
        now = time.monotonic()
        self._refusals = self._refusals + 1 if now - self._refused_at < SAME_REFUSAL else 1
        self._refused_at = now
        is_refused = isinstance(exc, self._refusal_errors)
        if not is_refused and (not self._was_ready or self._refusals > MOST_FAULTS):
            raise exc
        self.refusal = told(exc)
        seconds = pause(self._refusals, FIRST_PAUSE, LONGEST_PAUSE, random.random)
        if is_refused:
            logger.error("The broker refuses this worker (%s); it is tried again in %.1f s.", self.refusal, seconds)
        else:
            message = "A step of the worker failed (%s); its loop begins anew in %.1f s."
            logger.error(message, self.refusal, seconds, exc_info=exc)
        self._waits.wait(seconds)

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
        self.engine.deliver(self._wanted(message, job_ids, task))

    def adopt(self, message: Any, job: NewJob) -> None:
        """Have the row written of a message that came without; then it is delivered."""
        (wanted,) = self._wanted(message, [job.id], job.task, is_foreign=True)

        def park(exc: Exception) -> None:
            self.engine.main.call(partial(self._park, message, Reason.INVALID, exc))

        self.engine.adopt(Foreign(job, wanted, park))

    def _wanted(
        self, message: Any, job_ids: Sequence[uuid.UUID], task: str, *, is_foreign: bool = False
    ) -> list[Wanted]:
        queue = str((message.delivery_info or {}).get("routing_key") or "")
        delivery = Delivery(partial(message.ack_log_error, logger, self.connection_errors), len(job_ids))
        in_chunk = len(job_ids) > 1
        given = (message.properties or {}).get("priority")
        priority = on_the_wire(given, self.connection.transport.driver_type) if type(given) is int else 0
        return [Wanted(job_id, queue, task, delivery, priority, in_chunk, is_foreign) for job_id in job_ids]

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

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection when it stands: tried for ever, with back-off and jitter, which Celery's has not.

        What the pool runs meanwhile ends as at other times: its results are read, its time limits hold.

        Where the project limits or forbids trying again, Celery's way is kept.
        """
        settings = self.app.conf
        connect = partial(conn.ensure_connection, max_retries=0, timeout=settings.broker_connection_timeout)
        if settings.broker_connection_max_retries is not None or not settings.broker_connection_retry:
            return super().ensure_connected(conn)
        while True:
            maybe_shutdown()
            try:
                self._waits.connect(connect)
            except OperationalError as exc:
                self._wait_for_broker(conn, exc)
            else:
                self.first_connection_attempt = False
                self.connection_attempts = 0
                return conn

    def _wait_for_broker(self, conn: Any, exc: OperationalError) -> None:
        self.connection_attempts += 1
        seconds = pause(self.connection_attempts, FIRST_PAUSE, LONGEST_PAUSE, random.random)
        logger.error(
            "The broker %s is out of reach (%s); attempt %d comes in %.1f s.",
            conn.as_uri(),
            exc,
            self.connection_attempts + 1,
            seconds,
        )
        conn.maybe_switch_next()
        self._waits.wait(seconds)

    def on_close(self) -> None:
        """Called when the connection is lost: what was fetched and not begun is dispatched again.

        What the pool has already will run, whoever brought it: Celery's pool of processes would forget that it has it.
        """
        self._waits.serve()
        # Celery's pool of processes would forget what it has not begun, as the broker would send it again.
        forgets = isinstance(self.pool, ProcessPool)
        self.engine.pool.keep_over_reconnect(super().on_close, lambda result: not forgets or _keeps(result))
        self.engine.connection_lost()

    def _park(self, message: Any, reason: Reason, error: BaseException | str) -> None:
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


def job_strategy(task: Any, app: Any, consumer: JobsConsumer) -> Callable[..., None]:
    """Return what takes a message of a job's task that is not the ledger's: its row is written when it is claimed."""

    def handle(message: Any, body: Any, *_: Any) -> None:
        if body is None and "args" not in message.payload:
            body, headers = message.payload, message.headers
        elif "args" in message.payload:
            body, headers, *_ = hybrid_to_proto2(message, message.payload)
        else:
            body, headers, *_ = proto1_to_proto2(message, body)
        read = read_headers(headers, LEDGER_HEADER)
        # As Celery's request has it: the priority is one of the message's properties.
        delivered = {**(message.delivery_info or {}), "priority": (message.properties or {}).get("priority")}
        given = {**(message.properties or {}), "content_encoding": message.content_encoding}
        job = new_job(task, read, read_body(body), delivered, given)
        if str(read["id"]) in state.revoked:
            logger.info("Discarding revoked task: %s[%s]", task.name, read["id"])
            message.ack_log_error(logger, consumer.connection_errors)
            pending_writes.put(Revoked([str(read["id"])], terminate=False, consumer=consumer))
            return
        consumer.adopt(message, job)

    return handle


def _keeps(result: Any) -> bool:
    """Return whether one of the pool's processes has it; the pool has forgotten all that have not begun."""
    process = result and result._write_to  # noqa: SLF001
    if not process or not process._is_alive():  # noqa: SLF001
        return False
    result._cache[result._job] = result  # noqa: SLF001
    return True
