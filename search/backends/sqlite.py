"""Full-text search with SQLite's FTS5 (https://www.sqlite.org/fts5.html): a virtual table over the documents.

Triggers of the migration keep the table in step. It has a column for each weight, and a tokeniser that parts terms at
nothing but the spaces between them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from search.words import terms

#: How much a match counts in each of the texts: what PostgreSQL's weights count by default.
WEIGHTS = "1.0, 0.4, 0.2, 0.1"


def indexed(texts: Sequence[str]) -> str:
    """Write the terms of four texts, the most important first, as the triggers read them."""
    return json.dumps([" ".join(terms(text)) for text in texts], ensure_ascii=False)


def search(
    index: str, generation: int, words: Sequence[str], filters: Mapping[str, Any], limit: int, offset: int
) -> tuple[list[Any], int]:
    """Return matching documents, the best first (bm25), and their number."""
    where = 'd."index" = %s AND d.generation = %s'
    parameters: list[Any] = [index, generation]
    for name, value in filters.items():
        where += " AND json_extract(d.data, %s) = %s"
        parameters += [f"$.{name}", int(value) if isinstance(value, bool) else value]
    if not words:
        return _all(where, parameters, limit, offset)
    match = " ".join(f'"{word}"' for word in words) + "*"
    source = (
        f"search_text JOIN search_indexeddocument d ON d.id = search_text.rowid WHERE search_text MATCH %s AND {where}"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {source}", [match, *parameters])
        total = cursor.fetchone()[0]
        cursor.execute(
            f"SELECT d.data FROM {source} ORDER BY bm25(search_text, {WEIGHTS}), d.id LIMIT %s OFFSET %s",
            [match, *parameters, limit, offset],
        )
        return [data for (data,) in cursor.fetchall()], total


def _all(where: str, parameters: list[Any], limit: int, offset: int) -> tuple[list[Any], int]:
    source = f"search_indexeddocument d WHERE {where}"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {source}", parameters)
        total = cursor.fetchone()[0]
        cursor.execute(
            f"SELECT d.data FROM {source} ORDER BY d.id DESC LIMIT %s OFFSET %s", [*parameters, limit, offset]
        )
        return [data for (data,) in cursor.fetchall()], total
