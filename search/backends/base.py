"""What a search backend does. Both are held to one suite of tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from search.documents import Document, IndexSettings

#: Around what matched, in highlighted texts. Signs that no text has, so that escaping cannot be fooled.
MARK_BEGIN, MARK_END = "\ue000", "\ue001"

#: As far as one may look into the results; behind it there are none. Databases and servers refuse larger numbers.
DEEPEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Hit:
    """One document found.

    Attributes:
        highlighted: its searchable texts, shortened around what matched, with the marks around it.
    """

    document: Document
    highlighted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Results:
    """What a search found: a page of it, and how much there is (an estimate where counting is dear)."""

    hits: Sequence[Hit]
    total: int


class SearchBackend(Protocol):
    """An index server. Every method raises SearchError; what changes something returns when that is done.

    A reindex builds a second index, its *staging* index, beside the live one and swaps them.
    """

    #: Whether a word with a typing error is found.
    tolerates_typos: bool

    def prepare(self, index: str, settings: IndexSettings) -> None:
        """Make sure that the index exists and has these settings."""

    def put(self, index: str, documents: Sequence[Document]) -> None:
        """Add or replace documents. Raises DocumentRefused for one that is no JSON, too large or has no id."""

    def remove(self, index: str, ids: Sequence[str]) -> None:
        """Remove documents; those that are not there are removed already."""

    def search(
        self,
        index: str,
        query: str,
        *,
        filters: Mapping[str, str | bool | int] | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> Results:
        """Return the documents that match all words, the best first; the last word may be the beginning of one.

        An empty query matches all documents, one of symbols only none. `docs/search.md` says what a word is.
        """

    def count(self, index: str) -> int:
        """Return how many documents an index holds; 0 where there is none."""

    def begin_staging(self, index: str, settings: IndexSettings) -> None:
        """Make an empty staging index; one left over is dropped first."""

    def put_staging(self, index: str, documents: Sequence[Document]) -> None:
        """Add or replace documents in the staging index."""

    def remove_staging(self, index: str, ids: Sequence[str]) -> None:
        """Remove documents from the staging index."""

    def has_staging(self, index: str) -> bool:
        """Return whether there is a staging index."""

    def swap(self, index: str) -> None:
        """Let the staging index be the live one, at once, and drop the old one."""
