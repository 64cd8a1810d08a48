"""Full-text search with PostgreSQL (https://www.postgresql.org/docs/current/textsearch.html).

The configuration `simple` takes words as they are, so that one index serves every language.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection


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
    query = " & ".join(words) + ":*"
    where += " AND to_tsvector('simple', d.text) @@ to_tsquery('simple', %s)"
    order = "ts_rank(to_tsvector('simple', d.text), to_tsquery('simple', %s)) DESC, d.id"
    return _found(order, where, [*parameters, query], [query, limit, offset])


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
