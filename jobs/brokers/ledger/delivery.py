"""What was fetched, as Kombu's envelopes. The delivery tag says what it is."""

from typing import Any, Literal, NamedTuple

from jobs.brokers.ledger.messages import Envelope, Taken
from jobs.enqueue.message import CONTENT_TYPE, outgoing
from jobs.ledger.maintain import Dispatchable


class Tag(NamedTuple):
    """One delivery: of a job, of a message to a queue, or of a broadcast."""

    kind: Literal["j", "m", "b"]
    id: Any
    number: int


def of_job(job: Dispatchable, number: int) -> Envelope:
    """Return the message of a job's row."""
    message = outgoing(job, retries=job.attempt)
    return {
        "body": message.body.encode(),
        "content-type": CONTENT_TYPE,
        "content-encoding": message.content_encoding,
        "headers": message.headers,
        "properties": {
            "delivery_tag": Tag("j", job.id, number),
            "delivery_info": {"exchange": "", "routing_key": job.queue},
            "delivery_mode": 2,
            "priority": job.priority,
            "reply_to": "",
            **message.properties,
        },
    }


def of_message(taken: Taken, number: int) -> Envelope:
    """Return a message to a queue as it was put there, marked where it was delivered before."""
    properties = {**taken.envelope["properties"], "delivery_tag": Tag("m", taken.id, number)}
    if taken.redelivered:
        properties["delivery_info"] = {**properties["delivery_info"], "redelivered": True}
    return {**taken.envelope, "properties": properties}


def of_broadcast(envelope: Envelope, number: int) -> Envelope:
    """Return a broadcast as it was sent."""
    return {**envelope, "properties": {**envelope["properties"], "delivery_tag": Tag("b", None, number)}}
