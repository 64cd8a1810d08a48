"""Full-text search with PostgreSQL (https://www.postgresql.org/docs/current/textsearch.html).

Its parsers and dictionaries have no part in it: what a document is found by is written into its `tsvector` as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from search.words import terms

#: What a tsvector takes (https://www.postgresql.org/docs/current/textsearch-limitations.html): bytes, of its 1 MB;
#: the last place in a text, which stands for all behind it; the places of one term.
MOST_BYTES, LAST_PLACE, MOST_PLACES = 900_000, 16_383, 255

#: Bytes of a term beside its own (its entry, the number of its places, padding), and of each place.
TERM_BYTES, PLACE_BYTES = 8, 2


def indexed(texts: Sequence[str]) -> str:
    """Write the terms of up to four texts, the most important first, as a tsvector: each with its places and weight.

    Where the tsvector is full, the rest of the least important text is not found.
    """
    places: dict[str, list[str]] = {}
    left = MOST_BYTES
    for text, weight in zip(texts, "ABCD", strict=False):
        for number, term in enumerate(terms(text), 1):
            if term not in places:
                left -= len(term.encode()) + TERM_BYTES
            if left < 0:
                break
            there = places.setdefault(term, [])
            if len(there) < MOST_PLACES:
                there.append(f"{min(number, LAST_PLACE)}{weight}")
                left -= PLACE_BYTES
    return " ".join(f"'{term}':{','.join(there)}" for term, there in places.items())


def search(
    index: str, generation: int, words: Sequence[str], filters: Mapping[str, Any], limit: int, offset: int
) -> tuple[list[Any], int]:
    """Return matching documents, the best first, and their number."""
    where, parameters = 'd."index" = %s AND d.generation = %s', [index, generation]
    for name, value in filters.items():
        where += " AND d.data ->> %s = %s"
        parameters += [name, str(value).lower() if isinstance(value, bool) else str(value)]
    if not words:
        return _found("d.id DESC", where, parameters, [limit, offset])
    query = " & ".join(f"'{word}'" for word in words) + ":*"
    where += " AND d.terms @@ %s::tsquery"
    return _found("ts_rank(d.terms, %s::tsquery) DESC, d.id", where, [*parameters, query], [query, limit, offset])


def _found(order: str, where: str, parameters: list[Any], further: list[Any]) -> tuple[list[Any], int]:
    source = f"search_indexeddocument d WHERE {where}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {source}", parameters)
        total = cursor.fetchone()[0]
        cursor.execute(
            f"SELECT d.data FROM {source} ORDER BY {order} LIMIT %s OFFSET %s",
            [*parameters, *further],
        )
        return [data for (data,) in cursor.fetchall()], total
