"""Writes the sitemap: shards first, then the index that names them, last of all what is stale goes."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from posts.sitemap import pages, place, xml
from posts.sitemap.shards import Limits, shards
from storage.client import Store, store

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
    """Write the sitemap into the assets store. Raises StorageError; then the index is still the old, whole one."""
    assets = store("assets")
    names: list[str] = []
    urls = 0
    with tempfile.TemporaryDirectory(prefix="sitemap-") as directory:
        for shard in shards(pages.entries() if entries is None else entries, Path(directory), limits):
            names.append(place.shard_name(shard.number, shard.digest))
            urls += shard.urls
            with shard.path.open("rb") as file:
                assets.put(place.shard_key(names[-1]), file, content_type=_SHARD_TYPE)
    index = xml.index((pages.address(f"/{name}") for name in names), timezone.now())
    assets.put(place.INDEX, index, content_type=_INDEX_TYPE, cache_control=_INDEX_CACHE)
    return Written(urls, len(names), _remove_stale(assets, {place.INDEX, *map(place.shard_key, names)}))


def _remove_stale(assets: Store, current: set[str]) -> int:
    """Remove what the index does not name. What stays this time goes the next; nobody sees it meanwhile."""
    removed = 0
    for page in assets.pages(place.PREFIX):
        stale = [one.key for one in page.objects if one.key not in current]
        removed += len(stale) - len(assets.delete(stale))
    return removed
