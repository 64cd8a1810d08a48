"""Circuit breakers at work: a worker counts what becomes of jobs, holds back those of open breakers, and probes.

What the rules are is in `jobs.core.breaker`. All workers share the ledger's rows; a worker keeps for a moment what it
has counted, so that a success costs no statement of its own.
"""

import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from itertools import groupby

from django.db import transaction

from jobs.core.breaker import BreakerState, Status, Verdict, counted, probed, probing, runs
from jobs.flow import claim as limits
from jobs.flow.claim import Decided, Worker
from jobs.ledger import breakers
from jobs.ledger.breakers import Standing
from jobs.ledger.claims import Claimed
from jobs.tasks.breakers import declared

logger = logging.getLogger(__name__)

#: Successes are written at most so many seconds after they came, and at most this share of the breaker's window.
SUCCESSES_WAIT, SUCCESSES_SHARE = 1.0, 0.1

#: So many outcomes are kept of a breaker whose row somebody else holds; the latest say the most.
MOST_KEPT = 1000

#: Jobs let go on in one transaction, when a breaker has closed.
SLICE = 500

#: Where a job could not begin as the probe, since its limit did not let it, the next try is so many seconds later.
PROBE_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """What the end of an attempt says about the dependency that its job needs.

    Attributes:
        lease_id: of the attempt.
        error: on one line, where it failed.
    """

    breaker: str
    lease_id: str
    verdict: Verdict
    error: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """How a breaker stood, and stands now."""

    before: Standing
    after: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What was done with some outcomes, once the transaction has committed.

    Attributes:
        changes: of breakers to which they were written.
        kept: what waits for a later moment, by breaker.
        out_of_reach: breakers whose rows somebody else holds.
    """

    changes: Sequence[Change] = ()
    kept: Mapping[str, Sequence[Said]] = field(default_factory=dict)
    out_of_reach: Collection[str] = ()


class Breakers:
    """One worker's part in them. Used by its ledger's thread."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Said]] = {}
        #: How breakers stood when they were last seen here, and when that was, by the monotonic clock.
        self._seen: dict[str, tuple[Status, float]] = {}

    # --- What becomes of jobs ---------------------------------------------------------------------

    @property
    def are_due(self) -> bool:
        """Whether something that was kept is to be written by now."""
        return any(self._is_urgent(name, ()) for name in self._kept)

    def record(self, ended: Iterable[Said]) -> Written:
        """Write what these and the kept ones say, in the caller's transaction, where it may not wait any longer.

        Say with `recorded` that the transaction has committed: nothing is forgotten before.
        """
        fresh: dict[str, list[Said]] = {}
        for one in ended:
            fresh.setdefault(one.breaker, []).append(one)
        urgent = {
            name: [*self._kept.get(name, ()), *fresh.get(name, ())]
            for name in self._kept.keys() | fresh.keys()
            if self._is_urgent(name, fresh.get(name, ()))
        }
        standing = self._locked(urgent.keys()) if urgent else []
        changes = [_write(one, urgent[one.name]) for one in standing]
        written = {one.name for one in standing}
        kept = {name: found for name, found in fresh.items() if name not in written}
        return Written(changes, kept, urgent.keys() - written)

    def recorded(self, written: Written) -> list[str]:
        """Note that this is committed. Returns the breakers that it has opened, or found open."""
        for change in written.changes:
            self._kept.pop(change.before.name, None)
            self._see(change.before.name, change.after)
            _tell(change)
        for name, found in written.kept.items():
            self._kept.setdefault(name, deque(maxlen=MOST_KEPT)).extend(found)
        for name in written.out_of_reach:
            self._seen.pop(name, None)
        return [one.before.name for one in written.changes if one.after.state is BreakerState.OPEN]

    def _is_urgent(self, name: str, fresh: Sequence[Said]) -> bool:
        """Return whether what is known of a breaker must be written now: only counts of successes may wait."""
        if name not in self._seen or any(one.verdict is Verdict.BAD for one in fresh):
            return True
        status, seen_at = self._seen[name]
        wait = min(SUCCESSES_WAIT, SUCCESSES_SHARE * declared(name).window)
        return not status.is_quiet or time.monotonic() - seen_at >= wait

    def _locked(self, names: AbstractSet[str]) -> list[Standing]:
        found = breakers.locked(names)
        if missing := names - self._seen.keys() - {one.name for one in found}:
            # Nobody has needed them before, or somebody holds their rows.
            breakers.add(missing)
            found += breakers.locked(missing)
        return found

    def _see(self, name: str, status: Status) -> None:
        self._seen[name] = (status, time.monotonic())

    # --- Claims -----------------------------------------------------------------------------------

    def claim(self, asked: Mapping[uuid.UUID, str], worker: Worker) -> Decided:
        """Claim jobs in whose way something stands, or may: a breaker, then a limit.

        Those whose breakers are not closed are held back, but for one that probes where it is time for that.

        Args:
            asked: the leases, by jobs that `claims.claim_many` left for that.
            worker: who claims.
        """
        needing: dict[str, list[uuid.UUID]] = {}
        for job_id, name in breakers.left(asked) if asked else ():
            needing.setdefault(name, []).append(job_id)
        rest = {job_id for job_ids in needing.values() for job_id in job_ids}
        decided = limits.claim({job_id: lease for job_id, lease in asked.items() if job_id not in rest}, worker)
        for one in breakers.standing(needing.keys()) if needing else ():
            self._see(one.name, one.status)
            if one.may_be_probed:
                job_id = needing[one.name][0]
                claimed = self._probe(one.name, asked[job_id], worker, job_id)
                decided.claimed.extend(claimed)
                rest -= {job.id for job in claimed}
        decided.locked.update(rest - breakers.hold(rest) if rest else ())
        return decided

    def claim_held(self, leases: Sequence[str], worker: Worker) -> list[Claimed]:
        """Claim jobs that wait without a message and may begin: first those that probe, then those in line.

        A probe waits behind nothing that may be in its queue.

        Args:
            leases: as many as jobs may be claimed.
            worker: who claims.
        """
        claimed: list[Claimed] = []
        left = list(leases)
        for one in breakers.not_closed() if worker.queues else ():
            if left and one.may_be_probed and breakers.may_try_probe(one.name, PROBE_PATIENCE):
                claimed += self._probe(one.name, left[0], worker)
                used = {job.lease_id for job in claimed}
                left = [lease for lease in left if lease not in used]
        return [*claimed, *limits.claim_from_lines(left, worker)]

    def _probe(self, name: str, lease: str, worker: Worker, job_id: uuid.UUID | None = None) -> list[Claimed]:
        """Claim a job as the breaker's probe, if that is still its turn: the breaker's row is the lock.

        It keeps to its limits as any other; then another job may be claimed in its stead, which is no probe.

        Args:
            name: of the breaker.
            lease: for the job.
            worker: who claims.
            job_id: the job; the most urgent of those that are held back, where it is not said.
        """
        with transaction.atomic():
            found = breakers.locked([name])
            if not found or not found[0].may_be_probed:
                return []
            probe_id = job_id or breakers.release_probe(name, worker.queues)
            claimed = limits.claim({probe_id: lease}, worker, out_of_turn=True).claimed if probe_id else []
            probes = [job for job in claimed if job.id == probe_id]
            status = probing(found[0].status) if probes else found[0].status
            for probe in probes:
                breakers.begin_probe(name, status, probe.id, probe.lease_id)
            if not claimed and job_id is None:
                # It is held back as before, and does not stand in line.
                transaction.set_rollback(True)
        self._see(name, status)
        for probe in probes:
            logger.info("%s[%s] probes %s, whose breaker is half-open.", probe.task, probe.id, name)
        return claimed


def _write(before: Standing, ended: Sequence[Said]) -> Change:
    """Write what attempts say to a breaker whose row is locked."""
    status, breaker, reason = before.status, declared(before.name), ""
    for is_probe, group in groupby(ended, key=lambda one: one.lease_id == before.probe_lease):
        found = list(group)
        if is_probe and status.state is BreakerState.HALF_OPEN:
            status = probed(status, found[0].verdict, breaker, before.now, random.random)
        elif not is_probe:
            status = counted(status, runs(one.verdict for one in found), breaker, before.now, random.random)
        if status.state is BreakerState.OPEN and status != before.status:
            reason = next((one.error for one in reversed(found) if one.verdict is Verdict.BAD), reason)
    if status != before.status:
        breakers.change(before, status, reason=reason)
    return Change(before, status, reason)


def _tell(change: Change) -> None:
    name, before, after = change.before.name, change.before.status, change.after
    if before.state is BreakerState.CLOSED and after.state is BreakerState.OPEN:
        logger.error("Breaker %s is open, and its jobs wait until a probe succeeds: %s", name, change.reason)
    elif before.state is not BreakerState.CLOSED and after.state is BreakerState.CLOSED:
        logger.warning("Breaker %s is closed: a probe succeeded. Its jobs go on.", name)
    elif after.failed_probes > before.failed_probes:
        logger.warning("Breaker %s stays open, a probe failed: %s", name, change.reason)


def look_after() -> tuple[list[str], bool]:
    """Let go on what breakers hold back and need not. Any number of workers may do so.

    Returns:
        The queues whose jobs go on, and whether there are more.
    """
    queues: list[str] = []
    is_more = False
    for name in breakers.with_held_jobs():
        released = breakers.release(name, SLICE)
        queues += released
        is_more = is_more or len(released) == SLICE
    for one in breakers.not_closed():
        is_more = breakers.hold_in_line(one.name, SLICE) == SLICE or is_more
    return sorted(set(queues)), is_more
