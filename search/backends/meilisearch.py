"""Documents in Meilisearch.

Written for v1.50 (https://www.meilisearch.com/docs/reference/api/overview).
Every change there is a task of the server's own, done some time after it was accepted; nothing here returns
before that task has succeeded, or raises what the server says of its failure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meilisearch import Client
from meilisearch.errors import (
    MeilisearchApiError,
    MeilisearchCommunicationError,
    MeilisearchError,
    MeilisearchTimeoutError,
)

from search.backends.base import MARK_BEGIN, MARK_END, Hit, Results
from search.documents import Document, IndexSettings
from search.errors import SearchError

#: Seconds for one answer of the server.
ANSWER_SECONDS = 10

#: Milliseconds for one of its tasks, and between two looks at it. A task waits for those before it.
TASK_MILLISECONDS = 60_000
LOOK_MILLISECONDS = 30

#: Words of context in a highlighted text.
CROP = 30

#: Codes after which a second try may succeed; any other refusal is of what we sent.
#: https://www.meilisearch.com/docs/reference/errors/error_codes
PASSING = frozenset(
    {"internal", "too_many_search_requests", "no_space_left_on_device", "io_error", "database_size_limit_reached"}
)


class MeilisearchBackend:
    """The backend on a Meilisearch server."""

    tolerates_typos = True

    def __init__(self, url: str, api_key: str = "") -> None:
        self._client = Client(url, api_key or None, timeout=ANSWER_SECONDS)

    def prepare(self, index: str, settings: IndexSettings) -> None:
        """Create the index unless it is there; apply the settings where they differ."""
        if not self._exists(index):
            self._create(index)
        wanted = _settings(settings)
        there = self._ask(lambda: self._client.index(index).get_settings())
        if any(sorted(there.get(name) or []) != sorted(value) for name, value in wanted.items()):
            self._do(lambda: self._client.index(index).update_settings(wanted))

    def put(self, index: str, documents: Sequence[Document]) -> None:
        """Add or replace documents in one request."""
        if documents:
            self._do(lambda: self._client.index(index).add_documents(list(documents), "id"))

    def remove(self, index: str, ids: Sequence[str]) -> None:
        """Remove documents in one request."""
        if ids:
            chosen = f"id IN [{', '.join(_quoted(one) for one in ids)}]"
            self._do(lambda: self._client.index(index).delete_documents(filter=chosen))

    def search(
        self,
        index: str,
        query: str,
        *,
        filters: Mapping[str, str | bool | int] | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> Results:
        """Search, with typing errors forgiven."""
        options: dict[str, Any] = {
            "limit": limit,
            "offset": offset,
            "matchingStrategy": "all",
            "attributesToHighlight": ["*"],
            "attributesToCrop": ["*"],
            "cropLength": CROP,
            "highlightPreTag": MARK_BEGIN,
            "highlightPostTag": MARK_END,
        }
        if filters:
            options["filter"] = [f"{name} = {_quoted(value)}" for name, value in filters.items()]
        answer = self._ask(lambda: self._client.index(index).search(query, options))
        return Results([_hit(hit) for hit in answer["hits"]], int(answer["estimatedTotalHits"]))

    def count(self, index: str) -> int:
        """Return the number of documents."""
        if not self._exists(index):
            return 0
        return int(self._ask(lambda: self._client.index(index).get_stats()).number_of_documents)

    def begin_staging(self, index: str, settings: IndexSettings) -> None:
        """Make the staging index, empty."""
        self._drop(_staging(index))
        self.prepare(_staging(index), settings)

    def put_staging(self, index: str, documents: Sequence[Document]) -> None:
        """Add or replace documents in the staging index."""
        self.put(_staging(index), documents)

    def remove_staging(self, index: str, ids: Sequence[str]) -> None:
        """Remove documents from the staging index."""
        self.remove(_staging(index), ids)

    def has_staging(self, index: str) -> bool:
        """Ask the server whether the staging index is there."""
        return self._exists(_staging(index))

    def swap(self, index: str) -> None:
        """Swap both indexes in one task of the server's, then delete the old one."""
        if not self._exists(index):
            # Indexes are swapped with one that exists.
            self._create(index)
        self._do(lambda: self._client.swap_indexes([{"indexes": [index, _staging(index)]}]))
        self._drop(_staging(index))

    def _create(self, index: str) -> None:
        try:
            self._do(lambda: self._client.create_index(index, {"primaryKey": "id"}))
        except SearchError as exc:
            # Two workers may have seen it missing; the server lets one of them create it.
            if not _has_code(exc, "index_already_exists"):
                raise

    def _drop(self, index: str) -> None:
        try:
            self._do(lambda: self._client.index(index).delete())
        except SearchError as exc:
            if not _has_code(exc, "index_not_found"):
                raise

    def _exists(self, index: str) -> bool:
        try:
            self._ask(lambda: self._client.get_index(index))
        except SearchError as exc:
            if _has_code(exc, "index_not_found"):
                return False
            raise
        return True

    def _ask(self, call: Callable[[], Any]) -> Any:
        """Call the server, and raise what goes wrong as a SearchError."""
        try:
            return call()
        except MeilisearchApiError as exc:
            raise _refused(exc.code or "", exc.message or str(exc), exc.status_code) from exc
        except MeilisearchTimeoutError as exc:
            raise SearchError(f"The search server did not finish in time: {exc}") from exc
        except (MeilisearchCommunicationError, MeilisearchError) as exc:
            raise SearchError(f"The search server cannot be reached: {exc}") from exc

    def _do(self, call: Callable[[], Any]) -> None:
        """Start a task of the server's and wait for its success."""
        info = self._ask(call)
        task = self._ask(
            lambda: self._client.wait_for_task(
                info.task_uid, timeout_in_ms=TASK_MILLISECONDS, interval_in_ms=LOOK_MILLISECONDS
            )
        )
        if task.status != "succeeded":
            error = task.error or {}
            raise _refused(str(error.get("code", task.status)), str(error.get("message", task.status)), 400)


def _refused(code: str, message: str, status: int) -> SearchError:
    passing = code in PASSING or status >= 500 or status in {408, 429}
    return SearchError(f"The search server refused ({code}): {message}", permanent=not passing)


def _has_code(error: SearchError, code: str) -> bool:
    return f"({code})" in str(error)


def _staging(index: str) -> str:
    return f"{index}_staging"


def _settings(settings: IndexSettings) -> dict[str, list[str]]:
    return {
        "searchableAttributes": list(settings.searchable),
        # Documents are removed by a filter on their ids.
        "filterableAttributes": ["id", *settings.filterable],
        "sortableAttributes": list(settings.sortable),
    }


def _quoted(value: str | bool | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _hit(hit: dict[str, Any]) -> Hit:
    formatted = hit.pop("_formatted", {})
    return Hit(hit, {name: value for name, value in formatted.items() if isinstance(value, str)})
