"""What is indexed: each kind of document, as the app that owns it declares. Pure but for what a kind brings along."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from search.errors import SearchError

#: A document as it is stored: `id`, and what the index settings name. JSON only.
Document = dict[str, Any]


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
