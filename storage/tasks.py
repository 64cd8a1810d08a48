"""The jobs of this app: load nothing, call one function, say what its errors mean for the job."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery import chain
from celery.exceptions import SoftTimeLimitExceeded

from jobs import Breaker, Cancel, Permanent, job
from storage import deletion, orphans, pipeline, references
from storage.client import store
from storage.conf import STORE_NAMES, is_configured
from storage.errors import InvalidImage, StorageError
from storage.pipeline import Made, NotWanted, Original, Resized

logger = logging.getLogger(__name__)

#: An image may be decoded and made smaller for so long. At the hard limit, 30 s later, its process would be killed.
RESIZE_SECONDS = 90


#: Both stores: the tasks that need one need the other as well, and as a rule they are one server's.
STORES = Breaker("storage")


@contextmanager
def settled() -> Iterator[None]:
    """Turn errors of this app into what should become of the job."""
    try:
        yield
    except NotWanted as exc:
        raise Cancel(str(exc)) from exc
    except StorageError as exc:
        if exc.permanent:
            raise Permanent(str(exc)) from exc
        raise


@job(name="storage.delete", queue="storage", breaker=STORES, time_limit=60)
def delete(store_name: str, keys: Sequence[str]) -> str:
    """Delete up to 1,000 objects in one request. Those that fail are tried again in a job without the others."""
    with settled():
        done = deletion.delete(store_name, keys)
    for group in done.again:
        delete.delay(store_name, group)
        logger.warning("The %s store kept %s; they get a job of their own.", store_name, deletion.shown(group))
    return f"{done.deleted:,} of {len(keys):,} deleted"


def delete_all(store_name: str, keys: Iterable[str]) -> None:
    """Enqueue the deletion of any number of objects, 1,000 a job. A service calls this in its transaction."""
    calls = [(store_name, batch) for batch in deletion.batches(keys)]
    if calls:
        delete.delay_many(calls)


@contextmanager
def _judged(source: str) -> Iterator[None]:
    """Tell whose original it is where it is no image we take, or more work than we do."""
    try:
        yield
    except InvalidImage as exc:
        references.refuse(source, str(exc))
        raise
    except SoftTimeLimitExceeded as exc:
        # Trying again would take as long.
        refusal = InvalidImage(f"The image takes more than {RESIZE_SECONDS} s to be made smaller: export it smaller.")
        references.refuse(source, str(refusal))
        raise refusal from exc


@job(name="storage.image.fetch", queue="storage", breaker=STORES, time_limit=60)
def fetch_image(source: str, target: str) -> Original:
    """First stage: make sure that the original is there and good."""
    with settled(), _judged(source):
        return pipeline.fetch(source, target)


@job(
    name="storage.image.resize",
    queue="default",
    breaker=STORES,
    time_limit=RESIZE_SECONDS + 30,
    soft_time_limit=RESIZE_SECONDS,
)
def resize_image(original: Original) -> Resized:
    """Second stage, and the one that computes: make the variants."""
    with settled(), _judged(original["source"]):
        return pipeline.resize(original)


@job(name="storage.image.upload", queue="storage", breaker=STORES, time_limit=60)
def upload_image(resized: Resized) -> list[Made]:
    """Third stage: publish the variants."""
    with settled():
        return pipeline.upload(resized)


def process_image(source: str, target: str, then: Any) -> None:
    """Enqueue the three stages for the original at `source`, in the caller's transaction.

    The variants go below the key `target`; `then` is the signature of a job that gets them, narrowest first.
    """
    chain(fetch_image.s(source, target), resize_image.s(), upload_image.s(), then).apply_async()


@job(name="storage.orphans", queue="storage", breaker=STORES, max_retries=2, time_limit=2 * 3600, unique=True)
def sweep_orphans(dry_run: bool = False) -> str:
    """Remove what nothing refers to from every store, or with `dry_run` count it."""
    with settled():
        reports, errors = sweep_all(dry_run=dry_run)
        if errors:
            raise StorageError(" ".join(map(str, errors)), permanent=all(error.permanent for error in errors))
    return "; ".join(map(str, reports))


def sweep_all(*, dry_run: bool) -> tuple[list[orphans.Sweep], list[StorageError]]:
    """Sweep each bucket once, whatever becomes of the others; return what was done and what went wrong."""
    # The content store must be there: without it the job fails and says so.
    names = [name for name in STORE_NAMES if name == "content" or is_configured(name)]
    buckets = {one.conf.place: one for one in map(store, reversed(names))}
    reports: list[orphans.Sweep] = []
    errors: list[StorageError] = []
    for bucket in buckets.values():
        try:
            reports.append(orphans.sweep(bucket, orphans.Limits.configured(), dry_run=dry_run))
        except StorageError as exc:
            errors.append(exc)
    return reports, errors
