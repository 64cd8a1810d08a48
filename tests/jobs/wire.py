"""What lies on the broker, read without taking it."""

import base64
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jobs.enqueue.reading import is_chunk
from tests.servers import Valkey

#: Kombu's mark between a queue's name and the step of a priority; step 0 has the plain name.
SEPARATOR = "\x06\x16"
STEPS = range(10)


@dataclass(frozen=True)
class Lying:
    """A message in a list of Valkey.

    Attributes:
        step: the priority on the wire; 0 is read first.
    """

    step: int
    envelope: dict[str, Any]

    @property
    def headers(self) -> dict[str, Any]:
        """Celery's headers and ours."""
        headers: dict[str, Any] = self.envelope["headers"]
        return headers

    @property
    def properties(self) -> dict[str, Any]:
        """Kombu's properties."""
        properties: dict[str, Any] = self.envelope["properties"]
        return properties

    @cached_property
    def body(self) -> list[Any]:
        """Arguments, keyword arguments, and what is embedded."""
        text = self.envelope["body"]
        if self.properties.get("body_encoding") == "base64":
            text = base64.b64decode(text)
        body: list[Any] = json.loads(text)
        return body

    @property
    def args(self) -> list[Any]:
        """The positional arguments."""
        args: list[Any] = self.body[0]
        return args

    @property
    def job_ids(self) -> list[str]:
        """The jobs that it names: one, or those of a chunk."""
        return list(self.args[0]) if is_chunk(self.headers) else [self.headers["id"]]


def _key(queue: str, step: int) -> str:
    return queue if step == 0 else f"{queue}{SEPARATOR}{step}"


def messages(valkey: Valkey, queue: str) -> list[Lying]:
    """Return the messages of a queue in the order in which they would be read."""
    found = []
    for step in STEPS:
        items: Any = valkey.client.lrange(_key(queue, step), 0, -1)
        found += [Lying(step, json.loads(item)) for item in reversed(items)]
    return found


def jobs_named(valkey: Valkey, queue: str) -> list[str]:
    """Return the ids of the jobs that a queue's messages name, in the order in which they would be read."""
    return [job_id for message in messages(valkey, queue) for job_id in message.job_ids]


def queue_length(valkey: Valkey, queue: str) -> int:
    """Return how many messages a queue has."""
    lengths: list[Any] = [valkey.client.llen(_key(queue, step)) for step in STEPS]
    return sum(lengths)
