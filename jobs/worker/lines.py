"""Jobs that wait without a message, in line for a limit or to probe: when a worker looks whether one may begin."""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from jobs.conf import conf
from jobs.flow.breakers import Breakers
from jobs.flow.claim import Worker
from jobs.ledger.claims import Claimed, under
from jobs.worker.claimer import Claimer

if TYPE_CHECKING:
    from jobs.worker.ledger_thread import LedgerThread

#: How long a worker with room for jobs lets lines be when nothing tells it to look, in seconds: a slot may have come
#: free elsewhere, a start is given away `AHEAD_SECONDS` before its time.
LOOK_EVERY = 0.5


class Lines:
    """Used by the worker's main thread."""

    def __init__(self, consumer: Any, claimer: Claimer, ledger: "LedgerThread") -> None:
        self._pauses, self._claimer, self._ledger = consumer.pauses, claimer, ledger
        self._is_asked = self._has_more = self._are_there = False
        self._next_at = self._first_at = time.monotonic()

    def may_move(self, job: Claimed) -> bool:
        """Return whether the end of this job lets another begin: its place is free, or there is room for more."""
        return job.begins_in is not None or self._has_more

    def note(self, are_there: bool) -> None:
        """Take note whether jobs may stand in any line, or probe: else nobody need look. Any thread may call it."""
        self._are_there = are_there

    def look_now(self) -> None:
        """Ask the ledger, if there is room: something has moved."""
        self._next_at, self._are_there = 0.0, True
        self.look()

    def look_first(self) -> None:
        """Ask the ledger before messages have the room that there is, which a flood of them would always have."""
        if time.monotonic() >= self._first_at:
            self.look()

    def look(self) -> None:
        """Ask the ledger, if it is time and there is room."""
        queues = self._pauses.wanted()
        if self._is_asked or not self._are_there or not queues or time.monotonic() < self._next_at:
            return
        if leases := self._claimer.ask_lines():
            self._is_asked = True
            # Next time messages go first, for as long.
            self._first_at = time.monotonic() + LOOK_EVERY
            self._ledger.claim_from_lines(leases, queues)

    def answered(self, leases: Sequence[str], claimed: Sequence[Claimed]) -> None:
        """Take what was claimed. Where that is all that was asked for, there may be more."""
        self._is_asked, self._has_more = False, len(claimed) == len(leases)
        self._next_at = 0.0 if self._has_more else time.monotonic() + LOOK_EVERY
        self._claimer.lines_answered(leases, claimed)
        self.look()


class LineClaims:
    """Claims of jobs that wait without a message, in the ledger's thread; any thread may ask.

    Args:
        hostname: the worker's name.
        answered: told of the leases that were asked with, and what was claimed under them.
    """

    def __init__(self, hostname: str, answered: Callable[[Sequence[str], Sequence[Claimed]], None]) -> None:
        self._hostname, self._answered = hostname, answered
        self._asked: deque[tuple[Sequence[str], Collection[str]]] = deque()
        #: Leases whose answer was lost.
        self._in_doubt: list[Sequence[str]] = []

    def __bool__(self) -> bool:
        return bool(self._asked or self._in_doubt)

    def ask(self, leases: Sequence[str], queues: Collection[str]) -> None:
        """Have jobs of these queues claimed, as many as may begin."""
        self._asked.append((leases, queues))

    def claim(self, breakers: Breakers) -> None:
        """Claim what was asked for. Raises the database's errors; then it is to be called again."""
        while self._in_doubt:
            self._answered(self._in_doubt[0], under(self._in_doubt[0]))
            del self._in_doubt[0]
        while self._asked:
            leases, queues = self._asked.popleft()
            # In doubt from here on, until there is an answer.
            self._in_doubt.append(leases)
            claimed = breakers.claim_held(leases, Worker(self._hostname, queues, conf().lease_seconds))
            self._in_doubt.remove(leases)
            self._answered(leases, claimed)
