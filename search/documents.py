"""What is indexed: each kind of document, as the app that owns it declares. Pure but for what a kind brings along."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from search.errors import DocumentRefused, SearchError

#: A document as it is stored: `id`, and what the index settings name. JSON only.
Document = dict[str, Any]

#: Bytes of a document as JSON; a post's text takes at most a twentieth.
MOST_BYTES = 10_000_000

#: Characters that databases and search servers refuse: NUL, and halves of a surrogate pair.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How an index works; applied when it changes.

    Attributes:
        searchable: attributes that are searched, the most important first.
        filterable: attributes that may stand in a filter.
        sortable: attributes by which results may be sorted.
    """

    searchable: tuple[str, ...]
    filterable: tuple[str, ...] = ()
    sortable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of document, with all that `search` must know of it.

    Attributes:
        name: what jobs call it: `post`.
        index: the name of its index: `posts`.
        load: given ids, returns the documents of those that exist and are to be found; the others are removed.
        page: given an id (or "" for the beginning) and a number, returns that many ids after it, in a fixed order.
        count: how many there are, for progress.
    """

    name: str
    index: str
    settings: IndexSettings
    load: Callable[[Sequence[str]], Iterable[Document]]
    page: Callable[[str, int], list[str]]
    count: Callable[[], int]


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Declare a kind of document. Called in an AppConfig's `ready`."""
    _kinds[kind.name] = kind


def kinds() -> list[Kind]:
    """Return every kind, by name."""
    return [_kinds[name] for name in sorted(_kinds)]


def kind(name: str) -> Kind:
    """Return a kind by its name or its index's. Raises a permanent SearchError for one that nobody declared."""
    for found in _kinds.values():
        if name in {found.name, found.index}:
            return found
    known = ", ".join(sorted(_kinds)) or "none"
    raise SearchError(f"There is no kind of document {name!r}: it must be one of {known}.", permanent=True)


def storable(value: Any) -> Any:
    """Return a value of JSON with the characters that cannot be stored replaced by U+FFFD, in whatever it holds."""
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case dict():
            return {storable(name): storable(one) for name, one in value.items()}
        case list() | tuple():
            return [storable(one) for one in value]
        case _:
            return value


def encoded(document: Document) -> bytes:
    """Return a storable document as JSON. Raises DocumentRefused for one that is none or is too large."""
    name = f"The document {str(document.get('id'))!r:.120}"
    try:
        data = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as exc:
        raise DocumentRefused(f"{name} must be JSON: {exc}.") from exc
    if len(data) > MOST_BYTES:
        raise DocumentRefused(f"{name} takes {len(data):,} bytes; an index takes documents of at most {MOST_BYTES:,}.")
    return data
