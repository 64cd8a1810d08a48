"""Writes the sitemap: shards first, then the index that names them, last of all what is stale goes."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.utils import timezone

from posts.sitemap import pages, place, xml
from posts.sitemap.shards import Limits, shards
from storage.client import Store, store
from storage.errors import StorageError

_INDEX_TYPE = "application/xml"
_SHARD_TYPE = "application/gzip"
#: How long others may keep the index before they ask again.
_INDEX_CACHE = "public, max-age=3600"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a run."""

    urls: int
    shards: int
    removed: int

    def __str__(self) -> str:
        return f"{self.urls:,} addresses in {self.shards:,} shards; {self.removed:,} stale ones removed"


def write(entries: Iterable[bytes] | None = None, limits: Limits | None = None) -> Written:
    """Write the sitemap into the assets store. Raises StorageError; then the index is still the old, whole one.

    Two runs at once do no harm: neither removes what was written since it began, and the slower one notices before
    its index that shards of its own were taken for stale.
    """
    assets = store("assets")
    began = next(assets.pages(place.PREFIX)).now
    urls, names = _write_shards(assets, pages.entries() if entries is None else entries, limits)
    current = {place.INDEX, *map(place.shard_key, names)}
    _check_all_there(assets, current - {place.INDEX})
    index = xml.index((pages.address(f"/{name}") for name in names), timezone.now())
    assets.put(place.INDEX, index, content_type=_INDEX_TYPE, cache_control=_INDEX_CACHE)
    return Written(urls, len(names), _remove_stale(assets, current, began))


def _write_shards(assets: Store, entries: Iterable[bytes], limits: Limits | None) -> tuple[int, list[str]]:
    names: list[str] = []
    urls = 0
    with tempfile.TemporaryDirectory(prefix="sitemap-") as directory:
        for shard in shards(entries, Path(directory), limits):
            names.append(place.shard_name(shard.number, shard.digest))
            urls += shard.urls
            with shard.path.open("rb") as file:
                assets.put(place.shard_key(names[-1]), file, content_type=_SHARD_TYPE)
    return urls, names


def _check_all_there(assets: Store, keys: set[str]) -> None:
    missing = keys - {one.key for page in assets.pages(place.PREFIX) for one in page.objects}
    if missing:
        raise StorageError(f"Another run of the sitemap removed {len(missing)} shards of this one; it begins again.")


def _remove_stale(assets: Store, current: set[str], began: datetime) -> int:
    """Remove what the index does not name. What stays this time goes the next; nobody sees it meanwhile."""
    removed = 0
    for page in assets.pages(place.PREFIX):
        stale = [one.key for one in page.objects if one.key not in current and one.modified <= began]
        removed += len(stale) - len(assets.delete(stale))
    return removed
