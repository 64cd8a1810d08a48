"""What tasks log, as it comes: read only for the jobs that somebody watches, and only while they do."""

import uuid
from collections.abc import Iterator, Set as AbstractSet
from functools import reduce
from operator import or_

from django.db.models import Max, Q

from jobs.events import change
from jobs.models import AttemptLog
from jobs.operations.job_json import LOGS, log_json

#: Pieces read at once.
BATCH = 500


class LogTail:
    """What the watched jobs have logged since each was first asked for. Used by one thread."""

    def __init__(self) -> None:
        #: The last piece that was told of each.
        self._told: dict[uuid.UUID, int] = {}

    def read(self, watched: AbstractSet[uuid.UUID]) -> dict[uuid.UUID, bytes]:
        """Return, by job, the events of what has come; nothing of a job that is asked for the first time."""
        self._told = {job_id: last for job_id, last in self._told.items() if job_id in watched}
        found: dict[uuid.UUID, bytes] = {}
        if self._told:
            # One process writes what a job logs: of one job, what commits later has a higher number.
            fresh = [Q(job_id=job_id, pk__gt=last) for job_id, last in self._told.items()]
            for log in AttemptLog.objects.filter(reduce(or_, fresh)).order_by("pk")[:BATCH]:
                self._told[log.job_id] = log.pk
                found[log.job_id] = found.get(log.job_id, b"") + event(log)
        if new := watched - self._told.keys():
            latest = dict(AttemptLog.objects.filter(job_id__in=new).values_list("job_id").annotate(Max("pk")))
            self._told |= {job_id: latest.get(job_id, 0) for job_id in new}
        return found


def logged(watched: AbstractSet[uuid.UUID]) -> Iterator[bytes]:
    """Return, in pieces, the events of what jobs have logged so far, the latest of it."""
    for job_id in sorted(watched):
        rows = AttemptLog.objects.filter(job_id=job_id).order_by("-pk")[:LOGS]
        if found := list(rows)[::-1]:
            yield b"".join(map(event, found))


def event(log: AttemptLog) -> bytes:
    """Return a piece of a log as an event. It has no id: a stream is resumed by the changes of jobs."""
    return change.written("log", {"id": log.pk, "job_id": str(log.job_id), **log_json(log)})
