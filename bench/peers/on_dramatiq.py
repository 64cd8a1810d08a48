"""Dramatiq's side, as its guide sets it up: the broker's and the actor's defaults."""

import os
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from bench.marks import marks

_URL = os.environ["BROKER_URL"]

dramatiq.set_broker(RabbitmqBroker(url=_URL) if _URL.startswith("amqp:") else RedisBroker(url=_URL))


@dramatiq.actor  # type: ignore[untyped-decorator]
def nothing(number: int) -> None:
    """Leave a mark, do nothing."""
    marks().ran(number)


def sender(task: str) -> Callable[[int], object]:
    """Return what sends one message to the actor."""
    send: Callable[[int], object] = globals()[task].send
    return send


def settle() -> None:
    """Nothing to wait for: a call returns once its message is sent."""
