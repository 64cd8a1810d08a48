"""What a worker's maintenance does only when there is something to do: one look at the ledger says what."""

import math
from collections.abc import Callable, Sequence

from jobs.ledger.work import find_work
from jobs.maintenance.redispatch import DISPATCH_GRACE
from jobs.maintenance.runner import Duty
from jobs.worker.pauses import Pauses

#: Dead letters are looked for at the broker at every so many looks at the ledger: there is somewhere to put them.
LETTERS_EVERY = 2


class Agenda:
    """Used by one thread of a worker.

    Args:
        pauses: told which queues are paused.
        refused: returns the queues that the broker refuses just now.
        may_begin: told whether jobs that wait without a message may begin: in line for a limit, or as probes.
    """

    def __init__(self, pauses: Pauses, refused: Callable[[], Sequence[str]], may_begin: Callable[[bool], None]) -> None:
        self._pauses, self._refused, self._may_begin = pauses, refused, may_begin
        self._looks = 0
        self._found: set[str] = set()

    def look(self) -> bool:
        """See what there is to do."""
        work = find_work(DISPATCH_GRACE, self._refused())
        self._found = set(work.kinds)
        if self._looks % LETTERS_EVERY == 0:
            self._found.add("letters")
        self._looks += 1
        self._pauses.follow(work.paused)
        self._may_begin(not work.kinds.isdisjoint({"lines", "probes"}))
        return False

    def duty(self, name: str, found: str, run: Callable[[], bool]) -> Duty:
        """Return a duty that is done when a look has found something for it."""

        def do() -> bool:
            self._found.discard(found)
            return run()

        return Duty(name, do, math.inf, wanted=lambda: found in self._found)
