"""What the ledger is told of jobs whose messages the broker has. A note that is lost costs a second message."""

import logging
import time
import uuid
from collections.abc import Iterable

from django.db import DatabaseError, connection

from jobs.enqueue.publisher import BATCH
from jobs.ledger.maintain import mark_dispatched

logger = logging.getLogger(__name__)

#: How long confirmed messages wait at least to be noted in the ledger, in seconds, and at most twice as long: by then
#: most jobs have been claimed and need no note, and none is locked for one just when it is to be claimed. Maintenance
#: takes a row for undispatched only well after that.
NOTE_AFTER = 0.5


class DispatchNotes:
    """Jobs whose messages were confirmed, until the ledger is told. Not thread-safe."""

    def __init__(self) -> None:
        #: Those since the last look at the clock, and those before.
        self._confirmed: list[uuid.UUID] = []
        self._to_note: list[uuid.UUID] = []
        self._due_at = 0.0

    def add(self, job_ids: Iterable[uuid.UUID]) -> None:
        """Take jobs whose messages the broker has."""
        if not self._confirmed and not self._to_note:
            self._due_at = time.monotonic() + NOTE_AFTER
        self._confirmed.extend(job_ids)

    def seconds_until_due(self) -> float | None:
        """Return in how many seconds some are to be written; None where there are none."""
        return max(0.0, self._due_at - time.monotonic()) if self._confirmed or self._to_note else None

    def write(self, *, last: bool) -> None:
        """Write down in the ledger those that have waited; all of them, if nobody comes again."""
        seconds = self.seconds_until_due()
        if seconds is None or (seconds > 0 and not last):
            return
        confirmed, self._to_note, self._confirmed = self._to_note, self._confirmed, []
        self._due_at = time.monotonic() + NOTE_AFTER
        if last:
            confirmed += self._to_note
        try:
            for start in range(0, len(confirmed), BATCH):
                mark_dispatched(confirmed[start : start + BATCH])
        except DatabaseError as exc:
            # They are dispatched a second time, which is harmless.
            logger.warning("Could not note dispatched jobs (%s); they may be sent again.", exc)
            connection.close()
        if connection.vendor == "sqlite":
            # An open SQLite connection must not be carried over a fork.
            connection.close()
