"""What messages bring: the jobs to be claimed, and the message that is acknowledged when none of them needs it more."""

import itertools
import logging
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jobs.core.priority import on_the_wire
from jobs.ledger.claims import Claimed
from jobs.ledger.enqueue import NewJob

logger = logging.getLogger("celery.worker.strategy")

_worker = secrets.token_hex(10)
_numbers = itertools.count(1)


def new_lease() -> str:
    """Return the id of a lease that nobody had before."""
    return f"{_worker}{next(_numbers):012x}"


class Delivery:
    """A message, and how many of its jobs still need it."""

    __slots__ = ("_acknowledge", "left")

    def __init__(self, acknowledge: Callable[[], object], jobs: int) -> None:
        self._acknowledge, self.left = acknowledge, jobs

    def settle(self) -> None:
        """Note that a job does not need the message any more."""
        self.left -= 1
        if self.left:
            return
        try:
            self._acknowledge()
        except Exception as exc:  # noqa: BLE001 (the connection that it came by is gone)
            logger.debug("A message could not be acknowledged (%s); where it comes again, its jobs are taken.", exc)


@dataclass(slots=True, eq=False)
class Wanted:
    """A job that a message brings.

    Attributes:
        queue: that the message came from.
        task: its name, where the message says it; a chunk's does not.
        delivery: the message.
        priority: of the message, 0 to 9; higher first.
        in_chunk: whether others came with it.
        is_foreign: whether the message is somebody else's, who has checked nothing.
    """

    job_id: uuid.UUID
    queue: str
    task: str
    delivery: Delivery
    priority: int = 0
    in_chunk: bool = False
    is_foreign: bool = False
    lease_id: str = field(default_factory=new_lease)
    since: float = field(default_factory=time.monotonic)
    #: When its row was first found locked, by the monotonic clock; 0 before.
    locked_at: float = 0.0


def wanted(
    message: Any, job_ids: Sequence[uuid.UUID], task: str, consumer: Any, *, is_foreign: bool = False
) -> list[Wanted]:
    """Return the jobs that a message brings.

    Args:
        message: kombu's.
        job_ids: of its jobs.
        task: of all of them; empty where the message does not say it.
        consumer: that got it.
        is_foreign: whether it is somebody else's.
    """
    queue = str((message.delivery_info or {}).get("routing_key") or "")
    delivery = Delivery(partial(message.ack_log_error, logger, consumer.connection_errors), len(job_ids))
    in_chunk = len(job_ids) > 1
    given = (message.properties or {}).get("priority")
    priority = on_the_wire(given, consumer.connection.transport.driver_type) if type(given) is int else 0
    return [Wanted(job_id, queue, task, delivery, priority, in_chunk, is_foreign) for job_id in job_ids]


@dataclass(frozen=True, slots=True, eq=False)
class Foreign:
    """A message of somebody else's, whose job has no row yet."""

    job: NewJob
    wanted: Wanted
    #: Called where the database will never take the row, with its error.
    park: Callable[[Exception], None]


@dataclass(slots=True)
class Answer:
    """What came of some claims.

    Attributes:
        claimed: with the jobs of batch tasks that were claimed beside those asked for.
        again: jobs that wait, and cannot be claimed just now: their messages are to be sent again.
    """

    claimed: Sequence[Claimed]
    again: Sequence[uuid.UUID]
