"""Finds and removes objects that nothing refers to. Streams: memory does not grow with the bucket."""

import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import IO

from django.conf import settings

from jobs import progress
from storage import references
from storage.client import MAX_KEYS, Listed, Page, Store
from storage.errors import StorageError

logger = logging.getLogger(__name__)

#: Objects that a report names one by one.
NAMED = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What a sweep may do.

    Attributes:
        min_age: younger objects are left alone: what refers to them may not be committed yet.
        max_share, max_count: more orphans than both, and nothing is deleted at all.
    """

    min_age: timedelta
    max_share: float
    max_count: int

    @classmethod
    def configured(cls) -> "Limits":
        """Return the limits of the settings."""
        return cls(
            timedelta(seconds=settings.ORPHANS_MIN_AGE_SECONDS),
            settings.ORPHANS_MAX_SHARE,
            settings.ORPHANS_MAX_COUNT,
        )

    def allow(self, orphans: int, seen: int) -> bool:
        """Return whether so many orphans among so many objects are believable."""
        return orphans < self.max_count or orphans <= seen * self.max_share


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep saw and did.

    Attributes:
        kept: orphans that it left alone, or that the store would not delete.
        examples: the first of those, each with its reason.
    """

    store: str
    seen: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    deleted: int = 0
    kept: int = 0
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = ", ".join(self.examples) + (", …" if self.kept > len(self.examples) else "")
        return (
            f"{self.store}: {self.seen:,} objects, {self.orphans:,} of them orphans "
            f"({self.orphan_bytes / 1e6:.1f} MB), {self.deleted:,} deleted"
        ) + (f", {self.kept:,} left alone: {named}" if self.kept else "")


def sweep(store: Store, limits: Limits, *, dry_run: bool = False) -> Sweep:
    """Delete the store's orphans; with `dry_run` only count them.

    Nothing is deleted before everything is counted, and each key is asked about once more right before.

    Raises:
        StorageError: there are more orphans than can be right, or nobody tells what is in use (both permanent);
            or the store failed.
    """
    if not references.prefixes():
        raise StorageError(
            "No app tells which objects are in use, so all of them would be deleted: see storage.references.",
            permanent=True,
        )
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        found = _count(store, limits, spool)
        if dry_run:
            return found
        if not limits.allow(found.orphans, found.seen):
            raise _unbelievable(store, limits, found)
        spool.seek(0)
        return _delete(store, found, spool)


def _count(store: Store, limits: Limits, spool: IO[str]) -> Sweep:
    """List the whole bucket and note the orphans' keys, one JSON text a line."""
    found = Sweep(str(store.conf))
    for page in store.pages():
        orphans = _orphans(page, limits)
        for orphan in orphans:
            spool.write(json.dumps(orphan.key) + "\n")
        found = replace(
            found,
            seen=found.seen + len(page.objects),
            orphans=found.orphans + len(orphans),
            orphan_bytes=found.orphan_bytes + sum(orphan.size for orphan in orphans),
        )
        progress(found.seen, message=f"{found.store}: {found.orphans:,} orphans found")
    return found


def _orphans(page: Page, limits: Limits) -> list[Listed]:
    old = [one for one in page.objects if page.now - one.modified > limits.min_age]
    used = references.referenced(one.key for one in old)
    return [one for one in old if one.key not in used]


def _delete(store: Store, found: Sweep, spool: IO[str]) -> Sweep:
    """Delete what was noted. What would not go is told, and met again by the next sweep: no object stops the others."""
    result = found
    for batch in _batches(spool):
        still = sorted(set(batch) - references.referenced(batch))
        kept = store.delete_listed(still)
        result = replace(
            result,
            deleted=result.deleted + len(still) - len(kept),
            kept=result.kept + len(kept),
            examples=(*result.examples, *map(str, kept))[:NAMED],
        )
        progress(result.deleted, found.orphans, f"{found.store}: orphans deleted, {result.kept:,} left alone")
    logger.log(logging.WARNING if result.kept else logging.INFO, "Swept %s.", result)
    return result


def _batches(spool: IO[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in spool:
        batch.append(json.loads(line))
        if len(batch) == MAX_KEYS:
            yield batch
            batch = []
    if batch:
        yield batch


def _unbelievable(store: Store, limits: Limits, found: Sweep) -> StorageError:
    return StorageError(
        f"Nothing was deleted from {store.conf}: of its {found.seen:,} objects {found.orphans:,} "
        f"({found.orphans / found.seen:.0%}) are referred to by nothing, more than {limits.max_share:.0%} "
        f"(ORPHANS_MAX_SHARE) and {limits.max_count:,} (ORPHANS_MAX_COUNT). If DATABASE_URL and the store's settings "
        "belong together, look at `manage.py orphans`, raise the limit and replay this job.",
        permanent=True,
    )
