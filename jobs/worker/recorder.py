"""Writes what became of attempts into the ledger, in the worker's parent process: what comes together, together.

Until an end is written its lease is held. Whatever keeps one end from being written, the database away or a row that
somebody else has locked, keeps none of the others.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from celery import Celery
from django.db import transaction
from kombu.utils.json import loads

from jobs.compose.followers import enqueue_error_links, enqueue_followers, following_row
from jobs.compose.groups import settle
from jobs.compose.replacements import change_canvas, is_replacement
from jobs.core import outcome as outcomes
from jobs.core.breaker import verdict
from jobs.core.outcome import Outcome
from jobs.core.places import Place, place_of
from jobs.core.states import FINAL
from jobs.flow.breakers import Breakers, Said, Written
from jobs.ledger.attempts import Ended, Failure
from jobs.ledger.failures import state_after
from jobs.ledger.groups import GroupLocked, lock_free, move
from jobs.ledger.record import Records, record_many
from jobs.ledger.sql import RowLocked
from jobs.webhooks.events import Change, announce
from jobs.worker import refusals
from jobs.worker.database import UNUSABLE, is_outage
from jobs.worker.reports import Report
from jobs.worker.reserved import ReservedJob

#: Seconds until an end is tried again whose row somebody else's transaction holds.
LOCKED_PAUSE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """The end of an attempt, still to be written.

    Attributes:
        report: what its process said; None where the parent process itself ended it, or found it dead.
        lost_worker: whether it counts as the job killing its worker.
        is_parked: whether the broker has its dead letter.
        again: whether it may have been written: the database's answer was lost.
        not_before: when it is to be tried again, by the monotonic clock.
    """

    job: ReservedJob
    outcome: Outcome
    failure: Failure | None = None
    report: Report | None = None
    lost_worker: bool = False
    is_parked: bool = False
    again: bool = False
    not_before: float = 0.0

    @property
    def ended(self) -> Ended:
        """It in the ledger's terms."""
        job = self.job.job
        value = None if self.report is None else self.report.value
        return Ended(job.id, job.lease_id, job.attempt, self.outcome, self.failure, self.lost_worker, value)

    @property
    def is_followed(self) -> bool:
        """Whether something of its own is to be enqueued with it."""
        if isinstance(self.outcome, outcomes.Dead):
            return bool((self.job.job.options or {}).get("link_error"))
        return self.report is not None and not (self.report.result is None and self.report.canvas is None)

    @property
    def place(self) -> Place | None:
        """The place of its job in a group."""
        return place_of(self.job.job.options)

    @property
    def is_replaced(self) -> bool:
        """Whether another job takes its place: then it is none of its group's any more."""
        return self.report is not None and self.report.canvas is not None and is_replacement(self.report.canvas)


class Recorder:
    """Used by the ledger's thread.

    Args:
        app: the application.
        recorded: told of each end that is written, and what became of its job.
        opened: told of breakers that are open now.
    """

    def __init__(
        self,
        app: Celery,
        recorded: Callable[[End, Outcome], None],
        opened: Callable[[Collection[str]], None] = lambda _: None,
    ) -> None:
        self._app, self._recorded, self._opened = app, recorded, opened
        self.breakers = Breakers()
        #: What the transaction at hand says of breakers.
        self._written = Written()
        #: The ends of the call at hand that are still to be written, and those of them that are to be tried again.
        self._left: list[End] = []
        self._postponed: list[End] = []

    def write(self, ends: list[End]) -> list[End]:
        """Write ends, and take out of the list what is done with. Returns those to be tried again.

        With them what was kept of earlier ones; it is all that is written where there are none.

        Raises:
            DatabaseError: the database is away. What the list holds is still to be written, and only that.
        """
        self._left, self._postponed = ends, []
        try:
            self._write_all(list(ends))
        except Exception:
            ends += self._postponed
            raise
        return self._postponed

    @property
    def is_due(self) -> bool:
        """Whether something that was kept is to be written by now, though nothing ends."""
        return self.breakers.are_due

    def _write_kept(self) -> None:
        with transaction.atomic():
            self._written = self.breakers.record(())
        self._counted()

    def _counted(self) -> None:
        """Take note that the transaction has committed."""
        if opened := self.breakers.recorded(self._written):
            self._opened(opened)

    def _write_all(self, ends: Sequence[End]) -> None:
        if not ends:
            self._write_kept()
        followed: list[End] = []
        alone: list[End] = []
        for end in ends:
            (followed if end.is_followed else alone).append(end)
        plain = {end.job.job.id: end for end in alone}
        if plain:
            self._each_alone(list(plain.values()), self._write_plain)
        for end in followed:
            self._each_alone([end], self._write_followed)
        for end in alone:
            # Of two ends of one job, at most one has its lease.
            if plain[end.job.job.id] is not end:
                self._postpone(end, end)

    def _each_alone(self, ends: Sequence[End], write: Callable[[Sequence[End]], None]) -> None:
        """Write ends; where the database refuses one, it costs none of the others."""
        try:
            write(ends)
        except Exception as exc:
            if is_outage(exc):
                raise
            left = [end for end in ends if end in self._left]
            if len(ends) > 1:
                for end in left:
                    self._each_alone([end], write)
            elif left and isinstance(exc, (RowLocked, *UNUSABLE)):
                # Somebody was in its way.
                self._postpone(left[0], _later(left[0]))
            elif left:
                self._postpone(left[0], refusals.of_error(left[0], exc))

    def _postpone(self, end: End, again: End) -> None:
        self._left.remove(end)
        self._postponed.append(again)

    def _done(self, end: End, became: Outcome) -> None:
        self._left.remove(end)
        self._recorded(end, became)

    def _write_plain(self, ends: Sequence[End]) -> None:
        try:
            with transaction.atomic():
                records = self._record(ends)
        except GroupLocked:
            ends, records = self._write_those_of_free_groups(ends)
        self._counted()
        lost = []
        for end in ends:
            job_id = end.job.job.id
            if (became := records.became.get(job_id)) is not None:
                self._done(end, became)
            elif job_id in records.locked:
                self._postpone(end, _later(end))
            else:
                lost.append(end)
        for end in lost:
            self._lost(end, _nothing)

    def _write_those_of_free_groups(self, ends: Sequence[End]) -> tuple[list[End], Records]:
        """Write ends but those whose groups somebody holds, which are postponed. Returns those that it was about."""
        with transaction.atomic():
            free = lock_free([end.place.group_id for end in ends if end.place is not None])
            held = [end for end in ends if end.place is not None and end.place.group_id not in free]
            rest = [end for end in ends if end not in held]
            records = self._record(rest)
        for end in held:
            self._postpone(end, _later(end))
        return rest, records

    def _record(self, ends: Sequence[End]) -> Records:
        records = record_many([end.ended for end in ends], again=any(end.again for end in ends))
        self._settle(ends, records)
        self._written = self.breakers.record(_said(ends, records))
        return records

    def _write_followed(self, ends: Sequence[End]) -> None:
        (end,) = ends
        with transaction.atomic():
            if end.report is not None and end.report.canvas is not None:
                change_canvas(self._app, end.job.job, end.report.canvas)
            records = self._record(ends)
            became = records.became.get(end.job.job.id)
            if became is not None and not records.already:
                self._enqueue_what_follows(end)
        self._counted()
        if became is not None:
            self._done(end, became)
        elif records.locked:
            self._postpone(end, _later(end))
        else:
            self._lost(end, partial(self._enqueue_what_follows, end))

    def _settle(self, ends: Sequence[End], records: Records) -> None:
        """Count the ends that were written just now in the groups that wait for them, and tell webhooks."""
        moves = [
            moved
            for end in ends
            # Whatever has a place in a group says so in its options.
            if end.job.job.options
            and not end.is_replaced
            and end.job.job.id not in records.already
            and (became := records.became.get(end.job.job.id)) is not None
            and (state := state_after(became)) in FINAL
            for moved in move(end.job.job.id, end.job.job.options, state)
        ]
        settle(self._app, moves)
        announce(
            Change(job.id, job.task, job.queue, state_after(became))
            for job in (end.job.job for end in ends)
            if job.id not in records.already and (became := records.became.get(job.id)) is not None
        )

    def _enqueue_what_follows(self, end: End) -> None:
        job = end.job.job
        if isinstance(end.outcome, outcomes.Dead):
            enqueue_error_links(self._app, job)
        elif end.report is not None and end.report.result is not None:
            following = following_row(job.task, job.id, job.correlation_id, job.options)
            enqueue_followers(self._app, following, loads(end.report.result))

    def _lost(self, end: End, then: Callable[[], object]) -> None:
        self._done(end, refusals.late(self._app, end, then))


def _said(ends: Sequence[End], records: Records) -> Iterator[Said]:
    """Return what those ends say about their jobs' dependencies that this very transaction writes."""
    for end in ends:
        job = end.job.job
        if job.breaker is not None and job.id in records.became and job.id not in records.already:
            says = verdict(records.became[job.id], lost_worker=end.lost_worker)
            yield Said(job.breaker, job.lease_id, says, end.failure.summary if end.failure else "")


def _later(end: End) -> End:
    return replace(end, not_before=time.monotonic() + LOCKED_PAUSE)


def _nothing() -> None:
    """Do nothing: nothing follows."""
