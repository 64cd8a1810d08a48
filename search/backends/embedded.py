"""Documents in the site's own database: SQLite's FTS5, or PostgreSQL's full-text search. Needs no server.

Both get a document's terms from `search.words`, so that they find the same. The last word of a query may be the
beginning of one; typing errors are not forgiven.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from django.db import DataError, Error as DatabaseError, ProgrammingError, connection, transaction

from search.backends.base import DEEPEST, Hit, Results
from search.backends.marking import highlighted
from search.documents import Document, IndexSettings, encoded, storable
from search.errors import DocumentRefused, SearchError
from search.models import IndexAlias, IndexedDocument
from search.words import words_of

#: Rows deleted in one statement when an old generation is dropped.
BATCH = 2_000


class Dialect(Protocol):
    """How one database searches."""

    def indexed(self, texts: Sequence[str]) -> str:
        """Write four texts, the most important first, as the database keeps them to be searched."""

    def search(
        self, index: str, generation: int, words: Sequence[str], filters: Mapping[str, Any], limit: int, offset: int
    ) -> tuple[list[Any], int]:
        """Return documents (as JSON or parsed), the best first, and how many match."""


class EmbeddedBackend:
    """The backend on the database."""

    tolerates_typos = False

    def __init__(self) -> None:
        self._settings: dict[str, IndexSettings] = {}

    def prepare(self, index: str, settings: IndexSettings) -> None:
        """Remember which attributes are searched; the texts are put together when a document comes in."""
        self._settings[index] = settings
        IndexAlias.objects.get_or_create(name=index)

    def put(self, index: str, documents: Sequence[Document]) -> None:
        """Add or replace documents."""
        self._put(index, self._alias(index).live, documents)

    def remove(self, index: str, ids: Sequence[str]) -> None:
        """Remove documents."""
        self._remove(index, self._alias(index).live, ids)

    def search(
        self,
        index: str,
        query: str,
        *,
        filters: Mapping[str, str | bool | int] | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> Results:
        """Search the live generation."""
        filters, words = storable(dict(filters or {})), words_of(query)
        self._check_filters(index, filters)
        if query.strip() and not words:
            # Symbols only: no document has a word of it.
            return Results([], 0)
        try:
            found, total = dialect().search(
                index, self._alias(index).live, words, filters, min(limit, DEEPEST), min(offset, DEEPEST)
            )
        except DatabaseError as exc:
            wrong = isinstance(exc, DataError | ProgrammingError)
            raise SearchError(f"The index {index} could not be searched: {exc}", permanent=wrong) from exc
        return Results([_hit(data, words) for data in found], total)

    def count(self, index: str) -> int:
        """Return the number of documents in the live generation."""
        alias = IndexAlias.objects.filter(name=index).first()
        return 0 if alias is None else IndexedDocument.objects.filter(index=index, generation=alias.live).count()

    def begin_staging(self, index: str, settings: IndexSettings) -> None:
        """Begin a new generation; one left over is dropped."""
        self.prepare(index, settings)
        with transaction.atomic():
            alias = IndexAlias.objects.select_for_update().get(name=index)
            left_over, alias.staging = alias.staging, alias.latest + 1
            alias.latest += 1
            alias.save()
        if left_over is not None:
            _drop(index, left_over)

    def put_staging(self, index: str, documents: Sequence[Document]) -> None:
        """Add or replace documents in the new generation."""
        if (staging := self._alias(index).staging) is not None:
            self._put(index, staging, documents)

    def remove_staging(self, index: str, ids: Sequence[str]) -> None:
        """Remove documents from the new generation."""
        if (staging := self._alias(index).staging) is not None:
            self._remove(index, staging, ids)

    def has_staging(self, index: str) -> bool:
        """Return whether a new generation is being built."""
        return self._alias(index).staging is not None

    def swap(self, index: str) -> None:
        """Let the new generation be the live one; drop the old one."""
        with transaction.atomic():
            alias = IndexAlias.objects.select_for_update().get(name=index)
            if alias.staging is None:
                raise SearchError(f"The index {index} has nothing to swap with.", permanent=True)
            old, alias.live, alias.staging = alias.live, alias.staging, None
            alias.save()
        _drop(index, old)

    def _alias(self, index: str) -> IndexAlias:
        try:
            return IndexAlias.objects.get(name=index)
        except IndexAlias.DoesNotExist:
            raise SearchError(f"There is no index {index!r}.", permanent=True) from None

    def _put(self, index: str, generation: int, documents: Sequence[Document]) -> None:
        searchable, indexed = self._searchable(index), dialect().indexed
        rows = {}
        for document in map(storable, documents):
            encoded(document)
            key = _key(document)
            terms = indexed(weighted([str(document.get(name) or "") for name in searchable]))
            rows[key] = IndexedDocument(index=index, generation=generation, key=key, data=document, terms=terms)
        IndexedDocument.objects.bulk_create(
            rows.values(),
            update_conflicts=True,
            unique_fields=["index", "generation", "key"],
            update_fields=["data", "terms"],
        )

    def _remove(self, index: str, generation: int, ids: Sequence[str]) -> None:
        IndexedDocument.objects.filter(index=index, generation=generation, key__in=storable(list(ids))).delete()

    def _searchable(self, index: str) -> tuple[str, ...]:
        if index not in self._settings:
            raise SearchError(f"The index {index!r} was not prepared.", permanent=True)
        return self._settings[index].searchable

    def _check_filters(self, index: str, filters: Mapping[str, object]) -> None:
        settings = self._settings.get(index)
        for name in filters:
            if settings is not None and name not in settings.filterable:
                known = ", ".join(settings.filterable) or "none"
                raise SearchError(
                    f"The index {index} cannot be filtered by {name!r}: it must be one of {known}.", permanent=True
                )


def weighted(texts: Sequence[str]) -> list[str]:
    """Return an index's texts as four, for as many weights: the fourth and those after it count the same."""
    return [*texts[:3], *[""] * (3 - len(texts)), "\n".join(texts[3:])]


def _key(document: Document) -> str:
    key = str(document.get("id") or "")
    if not key or len(key) > 100:
        raise DocumentRefused(f"A document's id must have 1 to 100 signs; got {key!r:.120}.")
    return key


def dialect() -> Dialect:
    """Return the way in which the database in use searches."""
    if connection.vendor == "postgresql":
        from search.backends import postgresql  # noqa: PLC0415 (one of the two)

        return postgresql
    from search.backends import sqlite  # noqa: PLC0415

    return sqlite


def _drop(index: str, generation: int) -> None:
    """Delete a generation in small statements, so that nobody waits long for a lock."""
    while True:
        keys = IndexedDocument.objects.filter(index=index, generation=generation).values_list("pk", flat=True)[:BATCH]
        if not (chunk := list(keys)):
            return
        IndexedDocument.objects.filter(pk__in=chunk).delete()


def _hit(data: Any, words: Sequence[str]) -> Hit:
    document = json.loads(data) if isinstance(data, str) else data
    return Hit(document, highlighted(document, words))
