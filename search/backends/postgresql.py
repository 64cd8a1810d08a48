"""Full-text search with PostgreSQL (https://www.postgresql.org/docs/current/textsearch.html).

The configuration `simple` takes words as they are, so that one index serves every language.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from search.backends.base import MARK_BEGIN, MARK_END

HEADLINE = f"StartSel={MARK_BEGIN}, StopSel={MARK_END}, MaxWords=24, MinWords=12, MaxFragments=2, FragmentDelimiter=…"


def search(
    index: str, generation: int, words: Sequence[str], filters: Mapping[str, Any], limit: int, offset: int
) -> tuple[list[tuple[Any, str]], int]:
    """Return matching documents, the best first, and their number."""
    where, parameters = 'd."index" = %s AND d.generation = %s', [index, generation]
    for name, value in filters.items():
        where += " AND d.data ->> %s = %s"
        parameters += [name, str(value).lower() if isinstance(value, bool) else str(value)]
    if not words:
        return _found("''", "d.id DESC", where, parameters, [], limit, offset)
    query = " & ".join(words) + ":*"
    where += " AND to_tsvector('simple', d.text) @@ to_tsquery('simple', %s)"
    parameters.append(query)
    headline = "ts_headline('simple', d.text, to_tsquery('simple', %s), %s)"
    order = "ts_rank(to_tsvector('simple', d.text), to_tsquery('simple', %s)) DESC, d.id"
    return _found(headline, order, where, parameters, [query, HEADLINE], limit, offset, [query])


def _found(
    headline: str,
    order: str,
    where: str,
    parameters: list[Any],
    before: list[Any],
    limit: int,
    offset: int,
    after: Sequence[Any] = (),
) -> tuple[list[tuple[Any, str]], int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM search_indexeddocument d WHERE {where}", parameters)
        total = cursor.fetchone()[0]
        cursor.execute(
            f"SELECT d.data, {headline} FROM search_indexeddocument d WHERE {where}"
            f" ORDER BY {order} LIMIT %s OFFSET %s",
            [*before, *parameters, *after, limit, offset],
        )
        return list(cursor.fetchall()), total
