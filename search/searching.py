"""Looking something up, from a web process that has indexed nothing itself."""

from collections.abc import Mapping

from django.db import DatabaseError

from search.backends import backend
from search.backends.base import Results
from search.documents import kind
from search.errors import SearchError


def search(
    name: str,
    query: str,
    *,
    filters: Mapping[str, str | bool | int] | None = None,
    limit: int = 20,
    offset: int = 0,
) -> Results:
    """Return what matches a query among the documents of a kind. Raises SearchError.

    Where the index refuses, it may not be there yet, or have the settings of an older release: it is prepared then,
    and asked once more.
    """
    wanted, server = kind(name), backend()
    try:
        try:
            return server.search(wanted.index, query, filters=filters, limit=limit, offset=offset)
        except SearchError as exc:
            if not exc.permanent:
                raise
        server.prepare(wanted.index, wanted.settings)
        return server.search(wanted.index, query, filters=filters, limit=limit, offset=offset)
    except DatabaseError as exc:
        raise SearchError(f"The index {wanted.index} could not be searched: {exc}") from exc
