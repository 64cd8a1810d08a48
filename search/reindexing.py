"""Building an index anew beside the live one, in batches that a killed worker's successor goes on with."""

import logging
import uuid
from collections.abc import Callable, Sequence

from django.apps import apps
from django.db import IntegrityError, transaction
from django.utils import timezone

from search.backends import backend
from search.documents import Kind
from search.errors import DocumentRefused, SearchError
from search.indexing import bring_in_step
from search.models import Reindex

logger = logging.getLogger(__name__)

#: Objects read and written in one go.
BATCH = 500

#: The cursor of a run that has begun to swap. If it is killed then, nobody knows which index is which: it begins again.
SWAPPING = "swapping"

Progress = Callable[[float, float | None, str], None]


def reindex(kind: Kind, job_id: uuid.UUID, progress: Progress) -> int:
    """Build the index of a kind anew and swap it in. Changes made meanwhile are in it, deletions included.

    Each change is indexed, by its own job, into both indexes while both are there; and each batch is read again
    after it was written, so what changes between reading and writing is not lost either. A document that cannot be
    indexed for what it is is left out and logged: it is no reason to leave all others in the old index.

    Args:
        kind: what to index.
        job_id: the job that does it; a later attempt of the same job goes on where the earlier one stood.
        progress: is told how far it is.

    Returns:
        How many objects there were to index.

    Raises:
        SearchError: the server's; permanent where another reindex of this index is under way.
    """
    run = _begin(kind, job_id)
    server = backend()
    while ids := kind.page(run.cursor, BATCH):
        _build(kind, ids)
        run.cursor, run.done = ids[-1], run.done + len(ids)
        run.save(update_fields=["cursor", "done"])
        progress(run.done, max(run.total, run.done), kind.index)
    run.cursor = SWAPPING
    run.save(update_fields=["cursor"])
    server.swap(kind.index)
    run.finished_at = timezone.now()
    run.save(update_fields=["finished_at"])
    progress(run.done, run.done, f"{kind.index} swapped")
    return run.done


def _build(kind: Kind, ids: Sequence[str]) -> None:
    """Write these objects into the staging index, and log those that are refused, found by halves."""
    server = backend()
    try:
        bring_in_step(kind, ids, server.put_staging, server.remove_staging)
    except DocumentRefused as exc:
        if len(ids) == 1:
            logger.warning("The %s %s is left out of the index %s: %s", kind.name, ids[0], kind.index, exc)
            return
        half = len(ids) // 2
        _build(kind, ids[:half])
        _build(kind, ids[half:])


def _begin(kind: Kind, job_id: uuid.UUID) -> Reindex:
    """Return the run of this job: the one to go on with, or a new one with an empty staging index."""
    _abandon_those_of_ended_jobs(kind)
    server = backend()
    run = Reindex.objects.filter(job_id=job_id, finished_at=None).first()
    if run is not None and run.cursor != SWAPPING and server.has_staging(kind.index):
        return run
    try:
        with transaction.atomic():
            run = run or Reindex(index=kind.index, job_id=job_id)
            run.cursor, run.done, run.total = "", 0, kind.count()
            run.save()
    except IntegrityError:
        raise SearchError(
            f"A reindex of {kind.index} is under way; wait for it or cancel its job.", permanent=True
        ) from None
    server.prepare(kind.index, kind.settings)
    server.begin_staging(kind.index, kind.settings)
    return run


def _abandon_those_of_ended_jobs(kind: Kind) -> None:
    """Close the runs whose job has given up or was cancelled; their staging index is dropped by the next run."""
    job = apps.get_model("jobs", "Job")
    for run in Reindex.objects.filter(index=kind.index, finished_at=None):
        there = job.objects.filter(pk=run.job_id).first()
        if there is None or there.is_final:
            Reindex.objects.filter(pk=run.pk).update(finished_at=timezone.now())
