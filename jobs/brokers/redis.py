"""Kombu's Redis transport, made to survive what it cannot read, and quicker.

Kombu's own ends the worker over an envelope that is no JSON, lacks its properties, or whose body is no base64,
and the message is gone. Here such an item becomes a message with the raw bytes as its body, so that the consumer
can park it like any other that it cannot read. And messages are fetched several at a time.
"""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import Empty
from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.utils.encoding import bytes_to_str
from uuid_utils import uuid4

from jobs.brokers.envelopes import Message, readable
from jobs.conf import queue_weights
from jobs.core.backoff import pause
from jobs.core.turns import Turns
from jobs.enqueue.reading import is_chunk, read_chunk

logger = logging.getLogger(__name__)

#: Fetched at once where the consumer has set no limit.
MOST_AT_ONCE = 100

#: How much longer than it was asked to a server may take to answer, in seconds; one that hangs is not waited for.
ANSWER_SECONDS = 1.0

#: The first pause after the server refused to give messages, and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0

#: The pause after the server refused to keep short-lived queues alive, in seconds; they live for a minute.
REFRESH_PAUSE = 5.0


def is_unknown(exc: Exception, command: str) -> bool:
    """Return whether an error says that the server does not know a command, or that we may never use it.

    Both name the command: "unknown command 'BLMPOP', with args …", "… no permissions to run the 'blmpop' command".
    """
    return f"'{command.lower()}'" in str(exc).lower().replace("`", "'")


@dataclass(frozen=True, slots=True)
class Peeked:
    """A message that was looked at and still lies in its list of Redis."""

    key: str
    item: bytes
    message: Message


def jobs_in(envelope: Mapping[str, Any]) -> int:
    """Return how many jobs a message brings: those that a chunk names; of any other one."""
    if not is_chunk(envelope.get("headers")):
        return 1
    try:
        return len(read_chunk(Message(dict(envelope)).payload))
    except Exception:  # noqa: BLE001 (whatever is wrong with it, the consumer parks it)
        return 1


class Channel(kombu_redis.Channel):
    """Kombu's channel, reading list items with care, and several at a time.

    Kombu pops one message with each round trip through the worker's event loop. Here BLMPOP (Redis 7, Valkey) pops as
    many as the worker may hold, and only when that is at least half of its limit, so that the trip pays. What a killed
    worker had popped is for the ledger to send again, as ever. Where BLMPOP is unknown, messages come one by one.

    A server that gives none now (it became a replica, its disk is full, a right was taken away) is asked again and
    again, ever less often; meanwhile the connection stands and the worker's loop goes on.
    """

    Message = Message
    _pops_many = True
    #: Why the server gives no messages; empty while it does.
    refusal = ""
    _refusals = 0
    _ask_at = _refresh_at = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        weights = queue_weights()
        #: In which order queues are asked; None where Kombu's will do, one after the other.
        self._turns = Turns(0.0, weights=dict(weights)) if weights else None

    def _next_delivery_tag(self) -> str:
        """Return a new UUID. As Kombu's, which takes a sixth of the time of publishing a message to make one."""
        return str(uuid4())

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for messages. Without enough room for them nothing is asked; this is called again at the next event."""
        if time.monotonic() < self._ask_at:
            return
        room = self._room() if self._pops_many else 1
        if room and (keys := self._keys()):
            self._in_poll: Any = self.client.connection
            self._brpop_sent_at: Any = time.monotonic()
            wait = self.brpop_timeout if timeout is None else timeout
            many = ("BLMPOP", wait, len(keys), *keys, "RIGHT", "COUNT", room)
            self.client.connection.send_command(*(many if self._pops_many else ("BRPOP", *keys, wait)))

    def _keys(self) -> list[str]:
        """Return the lists of the queues, in the order in which they are asked."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if self._turns is None:
            lists = [(queue, step) for step in self.priority_steps for queue in queues]
        else:
            # What is urgent overtakes its own queue alone: none with a weight starves.
            lists = [(queue, step) for queue in self._turns.order(queues) for step in self.priority_steps]
        return [self.global_keyprefix + self._q_for_pri(queue, step) for queue, step in lists]

    def _room(self) -> int:
        limit: int = self.qos.prefetch_count
        if not limit:
            return MOST_AT_ONCE
        room: int = self.qos.can_consume_max_estimate()
        return room if room * 2 >= limit else 0

    def _brpop_read(self, **options: Any) -> bool:
        """Deliver the answer to what was asked. As Kombu's, but for many items, some of which may be no envelopes."""
        if not self._in_poll:
            # Nothing was asked: the server closed the idle connection. The next question opens another.
            self.client.connection.disconnect()
            raise Empty
        try:
            key, items = self._answer()
            queue = bytes_to_str(key).removeprefix(self.global_keyprefix).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            self._deliver_all(items, queue)
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _answer(self) -> tuple[bytes, list[bytes]]:
        try:
            answer = self.client.connection.read_response()
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        except self.ResponseError as exc:
            if self._pops_many and is_unknown(exc, "BLMPOP"):
                logger.info("The broker has no BLMPOP (%s); messages are fetched one by one.", exc)
                self._pops_many, answer = False, None
            elif str(exc).startswith("WRONGTYPE"):
                # One queue's key is no list. Whoever consumes anew finds out which, and does without it.
                raise
            else:
                self._hold(exc)
                raise Empty from exc
        else:
            self._go_on()
        if not answer:
            raise Empty
        key, popped = answer
        return key, popped if self._pops_many else [popped]

    def give_back(self) -> None:
        """Put back what comes in answer to the last question; whoever calls this consumes nothing more.

        Kombu reads that answer when it closes the channel, and a worker that stops has it open until its last job has
        ended. Waits until the server says what there is, or that there is nothing (`brpop_timeout`).
        """
        asked = self._in_poll
        if not asked:
            return
        try:
            if not asked.can_read(timeout=self.brpop_timeout + ANSWER_SECONDS):
                asked.disconnect()
                return
            key, items = self._answer()
            with self.conn_or_acquire() as client:
                # They were popped from this end, one after the other.
                client.rpush(bytes_to_str(key).removeprefix(self.global_keyprefix), *reversed(items))
        except Empty:
            return
        finally:
            self._in_poll = None

    def maybe_refresh_binding_expiry(self) -> None:
        """Keep alive what expires. As Kombu's, which logs a traceback at every turn of the loop where it is refused."""
        if time.monotonic() < self._refresh_at:
            return
        try:
            super().maybe_refresh_binding_expiry()
        except self.ResponseError as exc:
            self._refresh_at = time.monotonic() + REFRESH_PAUSE
            logger.debug("The broker refuses to keep queues of remote control alive (%s).", exc)

    def _hold(self, exc: Exception) -> None:
        if self.refusal != str(exc):
            logger.error("The broker gives no messages (%s); it is asked again.", exc)
        self.refusal = str(exc)
        self._refusals += 1
        self._ask_at = time.monotonic() + pause(self._refusals, FIRST_PAUSE, LONGEST_PAUSE, random.random)

    def _go_on(self) -> None:
        if self.refusal:
            logger.warning("The broker gives messages again.")
        self.refusal, self._refusals = "", 0

    def _deliver_all(self, items: list[bytes], queue: str) -> None:
        """Deliver every item, also after an error with one: they are in Redis no more."""
        failed: BaseException | None = None
        envelopes = [readable(item, queue) for item in items]
        if self._turns is not None:
            self._turns.give(queue, sum(map(jobs_in, envelopes)))
        for envelope in envelopes:
            try:
                self.connection._deliver(envelope, queue)  # noqa: SLF001 (as Kombu's own channels do)
            except BaseException as exc:  # noqa: BLE001 (raised below)
                failed = failed or exc
        if failed is not None:
            raise failed

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """Return one message of a queue, the most urgent first. As Kombu's, but for an item that is no envelope."""
        with self.conn_or_acquire() as client:
            for step in self.priority_steps:
                if item := client.rpop(self._q_for_pri(queue, step)):
                    return readable(item, queue)
        raise Empty

    def peek(self, queue: str, limit: int) -> list["Peeked"]:
        """Return up to `limit` messages of a queue, the oldest first, and leave them there."""
        found: list[Peeked] = []
        with self.conn_or_acquire() as client:
            for step in self.priority_steps:
                key = self._q_for_pri(queue, step)
                items = client.lrange(key, len(found) - limit, -1) if len(found) < limit else []
                found += [Peeked(key, item, self.Message(readable(item, queue), channel=self)) for item in items[::-1]]
        return found

    def forget(self, messages: Sequence["Peeked"]) -> None:
        """Remove messages that were peeked at, each exactly once, in one round trip."""
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
            for peeked in messages:
                pipeline.lrem(peeked.key, -1, peeked.item)
            pipeline.execute()


class Transport(kombu_redis.Transport):
    """Kombu's transport for Redis and Valkey, with the channel above."""

    Channel = Channel
