"""Dead letters as messages: the original body, properties and headers, and beside them what went wrong.

Pure: building a letter and reading one back; `publisher` sends them, `archiver` stores them.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from kombu.utils.json import dumps

from jobs.core import delivery
from jobs.core.delivery import is_too_deep, portable, portable_name, whole
from jobs.core.outcome import Reason
from jobs.core.properties import USER_HEADER
from jobs.core.queue_names import DEAD
from jobs.core.versions import VERSION_HEADER
from jobs.enqueue.message import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    CORRELATION_HEADER,
    IDEMPOTENCY_HEADER,
    LEDGER_HEADER,
    HasMessage,
    RawMessage,
    outgoing,
)
from jobs.enqueue.reading import is_from_ledger
from jobs.errors import EncryptionError
from jobs.ledger.attempts import Failure
from jobs.tasks.encryption import argument_texts, encrypts, is_encrypted
from jobs.tasks.redaction import HIDDEN, hidden_names

LETTER_ID = "x-dead-letter-id"
ORIGINAL_QUEUE = "x-original-queue"
ORIGINAL_EXCHANGE = "x-original-exchange"
ORIGINAL_ROUTING_KEY = "x-original-routing-key"
REASON = "x-failure-reason"
EXCEPTION = "x-exception"
FINAL_ATTEMPT = "x-final-attempt"
FAILED_AT = "x-failed-at"
JOB_ID = "x-job-id"

#: What a letter adds to the headers; a replay takes it off again.
ADDED = frozenset(
    {
        LETTER_ID,
        ORIGINAL_QUEUE,
        ORIGINAL_EXCHANGE,
        ORIGINAL_ROUTING_KEY,
        REASON,
        EXCEPTION,
        FINAL_ATTEMPT,
        FAILED_AT,
        JOB_ID,
    }
)


#: The properties of a message that a letter keeps, and of what kind they are.
_PROPERTIES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("correlation_id", "reply_to", "message_id", "type", "app_id"), str),
    "priority": int,
    "timestamp": datetime,
}

#: Of these, what a message says when it is sent again. A letter's table keeps times as texts.
_SENT_AGAIN = tuple(name for name in _PROPERTIES if name != "timestamp")


@dataclass(frozen=True, slots=True)
class DeadLetterMessage:
    """A dead letter, on its way to the dead-letter queue of `queue`."""

    queue: str
    message: RawMessage

    @property
    def error(self) -> str:
        """What went wrong, on one line."""
        return str(self.message.headers[EXCEPTION])


def dead_queue(queue: str) -> str:
    """Return the name of a queue's dead-letter queue."""
    return queue + DEAD


def from_job(job: HasMessage, attempt: int, reason: Reason, failure: Failure, now: datetime) -> DeadLetterMessage:
    """Return the letter of a job that gives up at its `attempt`-th attempt.

    Its id is made of the job's id and the attempt: however often it is sent, it is archived once.
    """
    message = outgoing(job, retries=max(0, attempt - 1))
    headers = _headers(
        letter_id=uuid.uuid5(job.id, f"dead:{attempt}"),
        queue=job.queue,
        exchange="",
        routing_key=job.queue,
        reason=reason,
        exception=failure.summary,
        attempt=attempt,
        now=now,
    )
    headers |= {JOB_ID: str(job.id), CORRELATION_HEADER: job.correlation_id or str(job.id)}
    # Without a priority: dead letters are archived in the order in which they came. Whose it is, a header says.
    properties: dict[str, Any] = message.properties_for("amqp")
    everything = {**message.headers, **headers}
    return DeadLetterMessage(
        job.queue, RawMessage(message.body, CONTENT_TYPE, message.content_encoding, everything, properties)
    )


def from_message(
    message: Any, queue: str, reason: Reason, exception: BaseException | str, now: datetime
) -> DeadLetterMessage:
    """Return the letter of a message (`kombu.Message`) that nobody can read or run."""
    came = message.delivery_info or {}
    original = message.headers if isinstance(message.headers, Mapping) else {}
    headers = _headers(
        letter_id=uuid.uuid4(),
        queue=queue,
        exchange=str(came.get("exchange") or ""),
        routing_key=str(came.get("routing_key") or queue),
        reason=reason,
        exception=exception if isinstance(exception, str) else f"{type(exception).__name__}: {exception}",
        attempt=whole(original.get("retries")),
        now=now,
    )
    if is_from_ledger(original):
        headers[JOB_ID] = str(portable(original.get("id")))
    message = resendable(message)
    if encrypts(original.get("task")):
        message = replace(message, body=_encrypted(message))
    if hidden_names(str(original.get("task"))):
        # What Celery's producers repeat of the arguments.
        headers |= {name: HIDDEN for name in ("argsrepr", "kwargsrepr") if message.headers.get(name)}
    return DeadLetterMessage(queue, replace(message, headers={**message.headers, **headers}))


def _encrypted(message: RawMessage) -> bytes | str:
    """Return the body of a foreign message with its arguments encrypted, where they can be read and there is a key."""
    body = message.body.encode() if isinstance(message.body, str) else message.body
    found = read_arguments(body, message.content_type)
    if found.args is None or found.kwargs is None or is_encrypted(found.kwargs):
        return message.body
    try:
        args, kwargs = argument_texts(json.dumps(found.args), json.dumps(found.kwargs), encrypt=True)
    except EncryptionError:
        return message.body
    return f"[{args}, {kwargs}, {json.dumps(json.loads(body)[2])}]".encode()


def resendable(message: Any) -> RawMessage:
    """Return a message that was received (`kombu.Message`) as it can be sent again, in any broker's terms."""
    headers = message.headers if isinstance(message.headers, Mapping) else {}
    # Kombu has decompressed the body already.
    kept = {portable_name(name): portable(value) for name, value in headers.items() if name != "compression"}
    given = message.properties if isinstance(message.properties, Mapping) else {}
    properties = {name: given[name] for name, kind in _PROPERTIES.items() if isinstance(given.get(name), kind)}
    body = message.body if isinstance(message.body, (bytes, str)) else dumps(portable(message.body))
    content_type = _named(message.content_type) or "application/data"
    encoding = _named(message.content_encoding) or "binary"
    if isinstance(body, str):
        body, encoding = _encoded(body, encoding)
    return RawMessage(body, content_type, encoding, kept, properties)


def _encoded(text: str, encoding: str) -> tuple[bytes, str]:
    """Return a text in an encoding and its name; in UTF-8 where it names none, or none that can hold the text."""
    try:
        return text.encode(encoding), encoding
    except (LookupError, ValueError):
        return text.encode(CONTENT_ENCODING, "surrogatepass"), CONTENT_ENCODING


def original(
    body: bytes,
    content_type: str,
    content_encoding: str,
    headers: Mapping[str, Any],
    properties: Mapping[str, Any] = MappingProxyType({}),
) -> RawMessage:
    """Return a letter's message as it was before it was parked."""
    kept = {portable_name(name): portable(value) for name, value in headers.items() if name not in ADDED}
    sendable = {name: properties[name] for name in _SENT_AGAIN if isinstance(properties.get(name), _PROPERTIES[name])}
    return RawMessage(body, content_type, content_encoding, kept, sendable)


def own_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a letter's headers those that its message's sender has given it."""
    ours = {*ADDED, LEDGER_HEADER, CORRELATION_HEADER, IDEMPOTENCY_HEADER, USER_HEADER, VERSION_HEADER}
    return {name: value for name, value in delivery.own_headers(headers).items() if name not in ours}


def _headers(
    *,
    letter_id: uuid.UUID,
    queue: str,
    exchange: str,
    routing_key: str,
    reason: Reason,
    exception: str,
    attempt: int,
    now: datetime,
) -> dict[str, Any]:
    return {
        LETTER_ID: str(letter_id),
        ORIGINAL_QUEUE: queue,
        ORIGINAL_EXCHANGE: exchange,
        ORIGINAL_ROUTING_KEY: routing_key,
        REASON: reason.value,
        EXCEPTION: portable(exception)[:500],
        FINAL_ATTEMPT: attempt,
        FAILED_AT: now.astimezone(UTC).isoformat(),
    }


@dataclass(frozen=True, slots=True)
class Arguments:
    """A message's arguments where they can be read; None where not."""

    args: list[Any] | None = None
    kwargs: dict[str, Any] | None = None


def read_arguments(body: bytes, content_type: str) -> Arguments:
    """Return the arguments in a body of Celery's protocol 2, as JSON has them."""
    if content_type != CONTENT_TYPE:
        return Arguments()
    try:
        args, kwargs, _ = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return Arguments()
    if not isinstance(args, list) or not isinstance(kwargs, dict) or is_too_deep([args, kwargs]):
        return Arguments()
    return Arguments(args, kwargs)


def plain_json(value: Any) -> Any:
    """Return `value` as plain JSON has it; brokers may put times and numbers of their own into headers."""
    return json.loads(json.dumps(portable(value), default=str))


def _named(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 100 else ""
