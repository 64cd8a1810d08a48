"""A change of a job: its place in time, how it goes over the wire, and which streams want it. Pure."""

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from jobs.core.states import State

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"(\d{1,19})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A change's place among all others: when, and of which job."""

    at: datetime
    job_id: uuid.UUID

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.job_id.hex}"

    @classmethod
    def read(cls, text: str) -> "Position | None":
        """Return the position that an event's id names; None where it is no id of ours."""
        match = _ID.fullmatch(text)
        if match is None:
            return None
        try:
            return cls(_EPOCH + timedelta(microseconds=int(match[1])), uuid.UUID(match[2]))
        except OverflowError:
            return None


@dataclass(frozen=True)
class Change:
    """A job that came into a state.

    Attributes:
        body: the job as JSON shows it.
    """

    position: Position
    state: State
    queue: str
    task: str
    body: dict[str, Any]

    @property
    def group_id(self) -> uuid.UUID | None:
        """The group that the job belongs to."""
        given = self.body.get("group_id")
        return uuid.UUID(given) if given else None

    @cached_property
    def event(self) -> bytes:
        """The change as an event: written once, whoever gets it."""
        return written("job", self.body, str(self.position))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes a stream wants: of these states, queues, tasks, jobs and groups; all where none is named.

    Attributes:
        ticks: instead of each change only, once a second at most, how many there were.
        logs: also what these jobs log.
    """

    states: frozenset[State] = frozenset()
    queues: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    jobs: frozenset[uuid.UUID] = frozenset()
    groups: frozenset[uuid.UUID] = frozenset()
    ticks: bool = False
    logs: bool = False

    def __contains__(self, change: Change) -> bool:
        return (
            (not self.jobs or change.position.job_id in self.jobs)
            and (not self.groups or change.group_id in self.groups)
            and (not self.states or change.state in self.states)
            and (not self.queues or change.queue in self.queues)
            and (not self.tasks or change.task in self.tasks)
        )


def events(changes: Iterable[Change], wanted: Wanted) -> bytes:
    """Return, in one piece, the events of the changes wanted."""
    return b"".join(change.event for change in changes if change in wanted)


def tick(changes: Sequence[Change], counted: Counter[State]) -> bytes:
    """Return the event that says how many changes there were, into which states."""
    states = {state.value: number for state, number in counted.items()}
    position = str(changes[-1].position) if changes else ""
    return written("tick", {"changes": counted.total(), "states": states}, position)


def written(name: str, body: dict[str, Any], event_id: str = "") -> bytes:
    """Return an event as it goes over the wire."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: {data}\n\n".encode("utf-8", "replace")
