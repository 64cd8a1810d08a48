"""The weekly clean-up: each app says at start what of its own goes, and one job does it, a little at a time.

What every job leaves, the workers prune meanwhile (`retention.prune_a_batch`).
"""

import logging
from collections.abc import Callable, Iterator

from jobs.tasks.declare import job
from jobs.worker.progress import progress

logger = logging.getLogger(__name__)

#: Rows deleted in one transaction: so few that nobody waits for their locks.
BATCH = 1_000

#: Deletes up to so many rows, in a transaction of its own, and returns how many it deleted; fewer at the end.
Cleaner = Callable[[int], int]

_cleaners: dict[str, Cleaner] = {}


class CleanupError(Exception):
    """Raised when some of the cleaners failed. The others did their work."""


def register_cleaner(name: str, cleaner: Cleaner) -> None:
    """Have `cleaner` called by `jobs.cleanup` until nothing is left. Called in an AppConfig's `ready`.

    The name says in the plural what is deleted: it stands in the report.
    """
    _cleaners[name] = cleaner


def clean(batch: int = BATCH) -> dict[str, int]:
    """Run every cleaner to its end and return what each deleted.

    Raises:
        CleanupError: naming the cleaners that failed, after all others are done.
    """
    deleted: dict[str, int] = {}
    failures: list[str] = []
    for name, cleaner in sorted(_cleaners.items()):
        deleted[name] = 0
        try:
            for count in _batches(cleaner, batch):
                deleted[name] += count
                progress(sum(deleted.values()), message=name)
        except Exception as exc:
            logger.exception("Cleaning up %s failed.", name)
            failures.append(f"{name}: {type(exc).__qualname__}: {exc}")
    logger.info("Cleaned up: %s.", report(deleted))
    if failures:
        raise CleanupError(f"{'; '.join(failures)}. Done meanwhile: {report(deleted)}.")
    return deleted


def _batches(cleaner: Cleaner, size: int) -> Iterator[int]:
    while True:
        count = cleaner(size)
        yield count
        if count < size:
            return


def report(deleted: dict[str, int]) -> str:
    """Return counts as a sentence can hold them."""
    return ", ".join(f"{count:,} {name}" for name, count in deleted.items()) or "nothing to do"


@job(name="jobs.cleanup", queue="maintenance", max_retries=3, time_limit=3600, unique=True)
def clean_up() -> str:
    """Delete what is past its time in every app, in small batches; return how much of what."""
    return report(clean())
