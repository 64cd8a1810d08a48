"""Entries into compressed files of a limited size, one after the other: memory holds one entry, disk one file."""

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from posts.sitemap import xml

#: Beyond it, smaller files cost more time than they save.
_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may hold, not compressed."""

    urls: int = xml.MAX_URLS
    size: int = xml.MAX_BYTES


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished file. It is gone as soon as the next one is asked for."""

    path: Path
    number: int
    urls: int
    digest: str


def shards(entries: Iterable[bytes], directory: Path, limits: Limits | None = None) -> Iterator[Shard]:
    """Yield files in `directory` that hold all entries, in their order. At least one entry is needed."""
    writer = _Writer(directory, 1, limits or Limits())
    try:
        for one in entries:
            if not writer.has_room_for(one):
                yield from writer.finished()
                writer = _Writer(directory, writer.number + 1, writer.limits)
            writer.add(one)
        yield from writer.finished()
    finally:
        writer.close()


class _Writer:
    def __init__(self, directory: Path, number: int, limits: Limits) -> None:
        self.number, self.limits = number, limits
        self.path = directory / f"{number}.xml.gz"
        self.urls = 0
        self.size = len(xml.HEAD) + len(xml.FOOT)
        self._digest = hashlib.sha256()
        self._open = ExitStack()
        raw = self._open.enter_context(self.path.open("wb"))
        # No name and no time in it: the same entries make the same bytes.
        packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=_LEVEL, mtime=0)
        self._file = cast("IO[bytes]", self._open.enter_context(packed))
        self._write(xml.HEAD)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)

    def has_room_for(self, one: bytes) -> bool:
        return self.urls < self.limits.urls and self.size + len(one) <= self.limits.size

    def add(self, one: bytes) -> None:
        self._write(one)
        self.urls += 1
        self.size += len(one)

    def close(self) -> None:
        self._open.close()

    def finished(self) -> Iterator[Shard]:
        self._write(xml.FOOT)
        self.close()
        yield Shard(self.path, self.number, self.urls, self._digest.hexdigest())
        self.path.unlink()
