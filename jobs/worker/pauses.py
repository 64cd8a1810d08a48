"""Which queues this worker takes jobs from, and how its consumer is made to agree with that.

What is wanted changes at any time and in any thread: queues are paused and resumed, the ledger cannot be written (a
worker that went on fetching would only throw messages away), somebody adds a queue by remote control. Nobody says
"open" or "close" for that; whoever changes what is wanted has the worker's main thread call `agree`, which compares
what is consumed with what should be. It may be called at any time and any number of times; every beat does.
"""

import logging
from collections.abc import Collection
from typing import Any

from kombu.entity import Queue as BrokerQueue

from jobs.conf import brokers, conf
from jobs.core.queue_names import RULE, is_queue_name
from jobs.enqueue.brokers import url_of
from jobs.enqueue.set_aside import SetAside

logger = logging.getLogger(__name__)

#: What the worker's entry says of its consuming, where that is not as it should be.
DEAF, PARTLY_DEAF, PAUSED = "listens to nothing", "listens in part", "paused"


class Pauses:
    """What one worker consumes. Its consumer's thread calls `select`, `agree`, `add` and `cancel`; any thread the rest.

    Args:
        consumer: Celery's; it has `app`, `connection`, `task_consumer` and `call_soon`.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._queues: dict[str, BrokerQueue] = dict(consumer.app.amqp.queues.consume_from)
        self._paused: Collection[str] = frozenset()
        self._set_aside = SetAside("consumer")
        self._ended = False
        #: Why no jobs are taken at all; empty while they are.
        self.trouble = ""

    # What is wanted.

    def follow(self, paused: Collection[str]) -> None:
        """Take jobs from all queues but these."""
        self._paused = frozenset(paused)
        self._consumer.call_soon(self.agree)

    def open(self) -> None:
        """Take jobs again: the ledger can be written."""
        if self.trouble:
            logger.warning("The ledger can be written again; this worker takes jobs again.")
            self.trouble = ""
        self._consumer.call_soon(self.agree)

    def close(self, trouble: str) -> None:
        """Take no jobs at all, for this reason, until `open` is called."""
        if not self.trouble:
            logger.error("The ledger cannot be written (%s); this worker takes no jobs meanwhile.", trouble)
        self.trouble = trouble
        self._consumer.call_soon(self.agree)

    def add(self, queue: BrokerQueue) -> None:
        """Let a queue be one of this worker's."""
        self._queues[queue.name] = queue
        self.agree()

    def add_named(
        self, name: str, exchange: Any = None, exchange_type: Any = None, routing_key: Any = None, **options: Any
    ) -> None:
        """Let a queue be one of this worker's that somebody names, and may be the first to do so."""
        app = self._consumer.app
        if not is_queue_name(name):
            logger.error("This worker cannot consume queue %r: it must be %s.", name, RULE)
            return
        if brokers() and url_of(app, name) != app.conf.broker_read_url:
            logger.error("This worker cannot consume queue %r: JOBS_BROKERS gives it to another broker.", name)
            return
        queues = app.amqp.queues
        if name not in queues:
            queues.add(
                name,
                exchange=exchange or name,
                exchange_type=exchange_type or "direct",
                routing_key=routing_key,
                **options,
            )
        self.add(queues[name])

    def cancel(self, name: str) -> None:
        """Let a queue be none of this worker's, by its name or another that it goes by."""
        self._queues.pop(getattr(self._consumer.app.amqp.queues.aliases.get(name), "name", name), None)
        self.agree()

    @property
    def queues(self) -> list[str]:
        """The queues that are this worker's, those it takes no jobs from just now among them."""
        return list(self._queues)

    def wanted(self) -> set[str]:
        """Return the queues that should be consumed now."""
        return set() if self.trouble else set(self._queues) - set(self._paused)

    def end(self) -> None:
        """Open no queue from now on: the worker stops."""
        self._ended = True

    # What is so.

    def consumed(self) -> set[str]:
        """Return the queues that are consumed."""
        tasks, connection = self._consumer.task_consumer, self._consumer.connection
        if tasks is None or connection is None or not connection.connected:
            return set()
        # RabbitMQ ends a consumer whose queue is deleted.
        ended: Collection[str] = getattr(tasks.channel, "ended_tags", ())
        tags = dict(tasks._active_tags)  # noqa: SLF001 (Kombu's `consuming_from` does not tell the tag)
        return {queue for queue, tag in tags.items() if tag not in ended}

    def select(self) -> None:
        """Choose what the consumer that is about to be made shall consume: what is wanted and can be declared."""
        queues, wanted = self._consumer.app.amqp.queues, self.wanted()
        queues.deselect(list(queues.consume_from))
        for name, queue in self._queues.items():
            if name in wanted and self._set_aside.declare(self._consumer.connection, queue):
                queues.select_add(queue)

    def agree(self) -> None:
        """Make what is consumed what is wanted. Raises the transport's connection errors."""
        tasks = self._consumer.task_consumer
        if self._ended or tasks is None or self._consumer.connection is None:
            # Not connected; `select` is called first thing after that.
            return
        wanted, consumed = self.wanted(), self.consumed()
        for name in sorted(consumed - wanted):
            logger.info("This worker takes no jobs from queue %s.", name)
            self._consumer.app.amqp.queues.deselect(name)
            tasks.cancel_by_queue(name)
        for name in sorted(wanted - consumed):
            self._open(tasks, self._queues[name])
        if renew_silent := getattr(tasks.channel, "renew_silent", None):
            renew_silent(conf().resend_seconds)

    def _open(self, tasks: Any, queue: BrokerQueue) -> None:
        if not self._set_aside.declare(self._consumer.connection, queue):
            return
        try:
            # One that was ended is not begun again otherwise.
            tasks.cancel_by_queue(queue.name)
            tasks.add_queue(queue)
            tasks.consume()
        except Exception as exc:
            # Its channel is gone with it: the next one is made without this queue.
            self._set_aside.add(queue.name, exc)
            raise
        self._consumer.app.amqp.queues.select_add(queue)
        logger.info("This worker takes jobs from queue %s.", queue.name)

    # What is told of it.

    def report(self) -> dict[str, Any]:
        """Return what the worker's entry says of its consuming: state, queues, and why it is not all of them."""
        wanted, consumed, refused = self.wanted(), self.consumed(), self._set_aside.errors()
        reason = self._reason(wanted - consumed, refused)
        if not reason:
            state = "connected" if wanted else PAUSED
        else:
            state = PARTLY_DEAF if consumed and not self._refusal() else DEAF
        return {
            "state": state,
            "queues": sorted(consumed),
            **({"reason": reason} if reason else {}),
            **({"refused": refused} if refused else {}),
        }

    def _reason(self, missing: set[str], refused: dict[str, str]) -> str:
        if self.trouble:
            return f"The ledger cannot be written: {self.trouble}"
        if refusal := self._refusal():
            return f"The broker refuses: {refusal}"
        reasons = [f"{queue} is refused: {refused[queue]}" for queue in sorted(missing & set(refused))]
        reasons += [f"{queue} is not consumed yet" for queue in sorted(missing - set(refused))]
        return "; ".join(reasons)

    def _refusal(self) -> str:
        """Return why the broker gives no messages although queues are consumed. Redis says so where it does."""
        channel = getattr(self._consumer.task_consumer, "channel", None)
        return str(self._consumer.refusal or getattr(channel, "refusal", ""))
