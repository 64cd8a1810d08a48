"""The worker's thread for the ledger: it claims what the pool can begin, and records what the pool has ended.

What comes while a statement is on its way goes into the next one: so many jobs share a commit, and the worker's main
thread waits for none of them. While the database is away, ends are kept and their leases held; claims whose answer was
lost are asked for again, by the same leases.
"""

import logging
import random
import select
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from django.db import Error as DatabaseError, InterfaceError, connection

from jobs.conf import conf
from jobs.core import outcome as outcomes
from jobs.core.backoff import pause
from jobs.flow import claim as flow
from jobs.ledger import claims
from jobs.ledger.wakeup import Wakeup
from jobs.worker import forks
from jobs.worker.adopt import write_row
from jobs.worker.batches import claim_beside
from jobs.worker.database import is_outage, of_the_engine
from jobs.worker.deliveries import Answer, Foreign, Wanted
from jobs.worker.lines import LineClaims
from jobs.worker.put_backs import put_back
from jobs.worker.recorder import End, Recorder
from jobs.worker.reports import Reports
from jobs.worker.reserved import ReservedJob

logger = logging.getLogger(__name__)

#: The pauses between two tries while the database is away, the first and the longest, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

#: How often the thread looks for what is to be tried again, in seconds.
LOOK_EVERY = 0.5


#: A locked row is looked at again after so many seconds, and left to be sent again after so many: what others of the
#: engine do with a row takes milliseconds, and others may hold it for hours.
LOOK_AGAIN, LOCKED_SECONDS = 0.005, 0.25


class LedgerThread(threading.Thread):
    """Claims and records. Any thread may ask.

    Args:
        hostname: the worker's name.
        reports: of the pool's processes; read here.
        recorder: writes ends.
        dead: takes ends whose dead letters are to be sent first.
        answered: told what was claimed.
        lines: claims jobs that wait without a message.
    """

    def __init__(
        self,
        hostname: str,
        reports: Reports,
        recorder: Recorder,
        dead: Callable[[Sequence[End]], None],
        answered: Callable[[Sequence[Wanted], Answer], None],
        lines: LineClaims,
    ) -> None:
        super().__init__(name="jobs-ledger", daemon=True)
        self._hostname, self._reports, self._recorder = hostname, reports, recorder
        self._dead, self._answered, self._lines = dead, answered, lines
        self._lock = threading.Lock()
        self._asked: list[Wanted] = []
        self._ends: list[End] = []
        self._released: list[ReservedJob] = []
        self._foreign: list[Foreign] = []
        #: Claims that a locked row was in the way of, a moment ago.
        self._locked: list[Wanted] = []
        #: Claims whose answer was lost.
        self._in_doubt: list[Wanted] = []
        self._is_prepared = False
        self._failures = 0
        self._wakeup = Wakeup()
        self._stop_by: float | None = None
        self._batch_of: Callable[[str], int] = lambda _: 0
        self._gone: Callable[[Sequence[ReservedJob]], None]
        self._adopted: Callable[[Foreign], None]
        self._prepare: Callable[[], None]

    def serve(
        self,
        batch_of: Callable[[str], int],
        gone: Callable[[Sequence[ReservedJob]], None],
        adopted: Callable[[Foreign], None],
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin.

        Args:
            batch_of: returns how many jobs of a task one call takes; 0 where each call takes one.
            gone: told of jobs that were put back.
            adopted: told of messages whose rows are written.
            prepare: called once before the first claim.
        """
        self._batch_of, self._gone, self._adopted, self._prepare = batch_of, gone, adopted, prepare
        self.start()

    # --- What others ask --------------------------------------------------------------------------

    def claim(self, asked: Iterable[Wanted]) -> None:
        """Claim these."""
        with self._lock:
            self._asked.extend(asked)
        self._wakeup.set()

    def claim_from_lines(self, leases: Sequence[str], queues: Collection[str]) -> None:
        """Claim jobs of these queues that wait in line, or to probe, as many as may begin."""
        self._lines.ask(leases, queues)
        self._wakeup.set()

    def adopt(self, foreign: Foreign) -> None:
        """Write the row of a message that came without."""
        with self._lock:
            self._foreign.append(foreign)
        self._wakeup.set()

    def record(self, ends: Sequence[End]) -> None:
        """Record these; those that give up when the broker has their dead letters."""
        unparked = [end for end in ends if isinstance(end.outcome, outcomes.Dead) and not end.is_parked]
        if unparked:
            self._dead(unparked)
            ends = [end for end in ends if end not in unparked]
        if not ends:
            return
        with self._lock:
            self._ends.extend(ends)
        self._wakeup.set()

    def release(self, jobs: Sequence[ReservedJob]) -> None:
        """Put back jobs that were claimed and have not begun."""
        with self._lock:
            self._released.extend(jobs)
        self._wakeup.set()

    def unwritten(self) -> int:
        """Return how many ends are still to be written."""
        with self._lock:
            return len(self._ends) + len(self._released)

    def stop(self, seconds: float) -> None:
        """End when everything is written, or after so many seconds."""
        self._stop_by = time.monotonic() + seconds
        self._wakeup.set()
        if self.is_alive():
            self.join(seconds + 1.0)

    # --- The thread -------------------------------------------------------------------------------

    def run(self) -> None:
        """Claim and record until told to stop."""
        of_the_engine()
        waiting = select.poll()
        waiting.register(self._wakeup, select.POLLIN)
        waiting.register(self._reports, select.POLLIN)
        while not self._is_over():
            if waiting.poll(1000 * (LOOK_AGAIN if self._locked else LOOK_EVERY)):
                self._wakeup.clear()
            with forks.held_off():
                self._read()
                self._turn()
        connection.close()

    def _read(self) -> None:
        try:
            self._reports.read()
        except Exception:
            # Whose report it was is told by its process, when that comes back without it.
            logger.exception("A report of the pool could not be read.")

    def _is_over(self) -> bool:
        if self._stop_by is None:
            return False
        return time.monotonic() > self._stop_by or not (self.unwritten() or self._in_doubt)

    def _turn(self) -> None:
        asked, ends, released = self._take()
        is_due = self._recorder.is_due
        if not (asked or ends or released or self._foreign or self._lines or self._in_doubt or is_due):
            return
        try:
            if ends or is_due:
                self._keep(self._recorder.write(ends))
                ends = []
            if released:
                self._put_back(released)
                released = []
            while self._foreign:
                if write_row(self._foreign[0]):
                    self._adopted(self._foreign[0])
                with self._lock:
                    del self._foreign[0]
            self._claim_all(asked)
            asked = []
        except Exception as exc:  # noqa: BLE001 (whatever it is: nothing is lost, and it is tried again)
            with self._lock:
                self._released[:0] = released
            # Not straight among those to be written: one that gives up now needs its letter first.
            self.record([replace(end, again=True) for end in ends])
            self._in_doubt += asked
            self._failed(exc)
            return
        if self._failures:
            logger.warning("The ledger answers again; jobs are claimed and recorded.")
            self._failures = 0
        if connection.vendor == "sqlite":
            # It must not be carried over a fork.
            connection.close()

    def _claim_all(self, asked: Sequence[Wanted]) -> None:
        if not self._is_prepared:
            self._prepare()
            self._is_prepared = True
        self._lines.claim(self._recorder.breakers)
        if self._in_doubt:
            self._claim(self._in_doubt, again=True)
            self._in_doubt = []
        if asked:
            self._claim(asked, again=False)

    def _take(self) -> tuple[list[Wanted], list[End], list[ReservedJob]]:
        now = time.monotonic()
        with self._lock:
            asked, self._asked = [*self._locked, *self._asked], []
            self._locked = []
            ends = [end for end in self._ends if end.not_before <= now]
            self._ends = [end for end in self._ends if end.not_before > now]
            released, self._released = self._released, []
        return asked, ends, released

    def _keep(self, ends: Sequence[End]) -> None:
        if ends:
            self.record(ends)

    def _claim(self, asked: Sequence[Wanted], *, again: bool) -> None:
        seconds = conf().lease_seconds
        wanted = {one.job_id: one.lease_id for one in asked}
        found = claims.claim_many(wanted, lease_seconds=seconds, worker=self._hostname, again=again)
        # Where an answer was lost, others may have been claimed under the leases of some.
        used = {job.lease_id for job in found.claimed}
        ruled = {job_id: wanted[job_id] for job_id in found.ruled if wanted[job_id] not in used}
        worker = flow.Worker(self._hostname, {one.queue for one in asked}, seconds)
        decided = self._recorder.breakers.claim(ruled, worker)
        claimed, locked = [*found.claimed, *decided.claimed], found.locked | decided.locked
        if locked and not again:
            asked = self._put_off_locked(asked, locked)
        claimed += claim_beside(asked, claimed, self._batch_of, seconds, self._hostname)
        self._answered(asked, Answer(claimed, [one.job_id for one in asked if one.job_id in locked]))

    def _put_off_locked(self, asked: Sequence[Wanted], locked: Collection[uuid.UUID]) -> list[Wanted]:
        """Keep for another look those whose rows are locked, likely by who notes their dispatch. Returns the others."""
        now = time.monotonic()
        answered = []
        for one in asked:
            if one.job_id in locked:
                one.locked_at = one.locked_at or now
            if one.job_id in locked and now - one.locked_at < LOCKED_SECONDS:
                self._locked.append(one)
            else:
                answered.append(one)
        return answered

    def _put_back(self, jobs: Sequence[ReservedJob]) -> None:
        came_of = put_back(jobs)
        self.record(came_of.unwanted)
        self._gone(came_of.back)
        with self._lock:
            self._released.extend(came_of.locked)

    def _failed(self, exc: Exception) -> None:
        expected = isinstance(exc, (DatabaseError, InterfaceError))
        self._failures += 1
        if self._failures == 1:
            logger.warning(
                "The ledger cannot be used (%s: %s); what is to be claimed and recorded waits.",
                type(exc).__name__,
                str(exc).strip(),
                exc_info=None if expected else exc,
            )
        if not expected or is_outage(exc):
            connection.close()
        time.sleep(pause(self._failures, FIRST_PAUSE, LONGEST_PAUSE, random.random))
