"""What one worker's maintenance does, how often, and with what: the lists of its duties."""

import logging
from functools import partial
from typing import Any

from django.db import Error as DatabaseError

from jobs.conf import conf
from jobs.deadletters.archiver import Archiver
from jobs.deadletters.missing import MissingDeadLetters
from jobs.enqueue.publishers import publisher_for
from jobs.flow import breakers
from jobs.ledger.pauses import end_pauses
from jobs.maintenance import renew, retention
from jobs.maintenance.agenda import Agenda
from jobs.maintenance.brokerless import redispatch_for
from jobs.maintenance.cancel import cancel_asked
from jobs.maintenance.held_back import HeldBack
from jobs.maintenance.others import registered
from jobs.maintenance.rescue import Rescue
from jobs.maintenance.runner import Duty
from jobs.worker import attempt_logs, heartbeat, watchdog
from jobs.worker.heartbeat import Heartbeat
from jobs.worker.pending_writes import pending_writes
from jobs.worker.pool import PATIENCE
from jobs.worker.watchdog import Watchdog

logger = logging.getLogger(__name__)

#: How often a worker looks for what is past its time, in seconds; while there is much of it, batch follows batch.
PRUNE_EVERY = 60.0


class Duties:
    """What one worker does, in lists, one a thread, and with what."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._publisher = publisher_for(worker.app)
        self._leases = renew.Leases(worker.consumer.engine)
        self._rescue = Rescue(worker.app, worker.consumer.engine)
        self._redispatch = redispatch_for(self._publisher)
        self._held_back = HeldBack(worker.app, self._redispatch.freed)
        self._archiver = Archiver(worker.app)
        self._missing = MissingDeadLetters()
        self._pauses = worker.consumer.pauses
        self._heartbeat = Heartbeat(worker, self._publisher)

    def vital(self) -> list[Duty]:
        """Return what no broker that hangs may delay: a thread of its own does it.

        Else the leases of jobs that run would run out, and others would take them for lost.
        """
        return [
            Duty("leases", self._leases.renew, conf().lease_renew_seconds, longest_pause=1.0),
            Duty("leases again", self._leases.renew_again, renew.AGAIN_EVERY, longest_pause=1.0),
            Duty("late jobs", self._worker.consumer.engine.look, min(conf().housekeeping_seconds, PATIENCE / 4)),
            Duty("time limits", Watchdog(self._worker).check, watchdog.EVERY),
        ]

    def others(self) -> list[Duty]:
        """Return what else is to be done, the most urgent first."""
        beat, redispatch = conf().housekeeping_seconds, self._redispatch
        agenda = Agenda(self._pauses, self._publisher.set_aside.held, self._worker.consumer.engine.lines.note)
        return [
            Duty("pending writes", _write_pending, beat, wanted=pending_writes.are_there, at_end=True),
            Duty("cancel", partial(cancel_asked, self._worker.consumer.engine), beat),
            Duty("agenda", agenda.look, beat),
            agenda.duty("due", "due", redispatch.due),
            agenda.duty("undispatched", "undispatched", redispatch.undispatched),
            agenda.duty("held back", "held", self._held_back.look),
            agenda.duty("breakers", "breakers", self._look_after_breakers),
            agenda.duty("pauses", "ended", _end_pauses),
            Duty("heartbeat", self._sign, min(heartbeat.EVERY, beat * 5)),
            Duty("rescue", self._rescue.look, self._rescue.every()),
            Duty("resend", redispatch.lost, redispatch.every()),
            agenda.duty("dead letters", "letters", self._archiver.archive),
            Duty("missing dead letters", self._missing.mend, beat * 15),
        ]

    def unhurried(self) -> list[Duty]:
        """Return what may take its time in a thread of its own, what rooms after this one have registered included."""
        return [
            Duty("prune", retention.prune_a_batch, PRUNE_EVERY),
            *(Duty(name, run, every) for name, run, every in registered),
        ]

    def logs(self) -> list[Duty]:
        """Return the writing of what tasks log, which comes all the time: a thread of its own does it."""
        attempt_logs.collector.serve()
        return [
            Duty("log lines", attempt_logs.collector.read, attempt_logs.READ_EVERY),
            Duty("logs", attempt_logs.collector.write, attempt_logs.WRITTEN_EVERY, at_end=True),
        ]

    def _look_after_breakers(self) -> bool:
        queues, is_more = breakers.look_after()
        if queues:
            self._redispatch.freed(queues)
        return is_more

    def database_failed(self, error: DatabaseError) -> None:
        """Called when a duty found that the database could not be used: take no jobs until it can."""
        self._rescue.out_of_touch()
        self._pauses.close(f"{type(error).__name__}: {str(error).strip()}")

    def close(self) -> None:
        """Drop the connections; called last."""
        self._publisher.close()
        self._archiver.close()
        self.leave()

    def leave(self) -> None:
        """Write that this worker stops in order, so that nobody misses it."""
        try:
            self._heartbeat.leave()
        except DatabaseError:
            # Its entry goes silent instead.
            return

    def _sign(self) -> bool:
        self._heartbeat.sign()
        if self._pauses.trouble:
            # The entry was written, so the ledger can be.
            self._heartbeat.database_reconnects += 1
            self._pauses.open()
        return False


def _end_pauses() -> bool:
    """Let go on what was paused until now."""
    for name in end_pauses():
        logger.info("The pause of %s has ended.", name)
    return False


def _write_pending() -> bool:
    """Record what dead children could not."""
    pending_writes.write_all()
    return False
