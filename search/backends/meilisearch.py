"""Documents in Meilisearch.

Written for v1.50 (https://www.meilisearch.com/docs/reference/api/overview).
Every change there is a task of the server's own, done some time after it was accepted; nothing here returns
before that task has succeeded, or raises what the server says of its failure.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import requests
from meilisearch import Client
from meilisearch.errors import (
    MeilisearchApiError,
    MeilisearchCommunicationError,
    MeilisearchError,
    MeilisearchTimeoutError,
)

from search.backends.base import DEEPEST, MARK_BEGIN, MARK_END, Hit, Results
from search.documents import Document, IndexSettings, encoded, storable
from search.errors import DocumentRefused, SearchError
from search.words import words_of

#: Seconds for one answer of the server.
ANSWER_SECONDS = 10

#: Milliseconds for one of its tasks, and between two looks at it. A task waits for those before it.
TASK_MILLISECONDS = 60_000
LOOK_MILLISECONDS = 30

#: Words of context in a highlighted text.
CROP = 30

#: Bytes of documents in one request; a larger document goes alone. The server takes 100 MB by default (its
#: `--http-payload-size-limit`), and has its minute for each.
BATCH_BYTES = 8_000_000

#: Types of errors after which a second try may succeed, being the server's own trouble; any other refusal is of what we
#: sent. https://www.meilisearch.com/docs/reference/errors/overview#errors
PASSING = frozenset({"internal", "system"})

#: A task that an operator has cancelled: nothing was wrong with it.
CANCELED = "canceled"

PAYLOAD_TOO_LARGE = "payload_too_large"

#: Codes of refusals that are of a document; https://www.meilisearch.com/docs/reference/errors/error_codes
OF_DOCUMENT = frozenset(
    {
        *("invalid_document_fields", "invalid_document_geo_field", "invalid_document_geojson_field"),
        *("invalid_document_id", "malformed_payload", "max_fields_limit_exceeded", "missing_document_id"),
        PAYLOAD_TOO_LARGE,
    }
)

#: What parts words for our own tokeniser, stands beside words in what people write, and parts none for the server,
#: whose list has punctuation, some spaces and some signs of mathematics
#: (https://github.com/meilisearch/charabia/blob/main/charabia/src/separators.rs; spaces first, here as well).
SEPARATORS = (
    *"\x0b\x0c\x85\xa0\u2000\u2001\u200b\u2028\u202f\u205f\u2011",
    *"$<=>^|~\u00a2\u00a3\u00a4\u00a5\u00a6\u00a8\u00a9\u00ac\u00ae\u00af\u00b0\u00b4\u00b8",
    *"\u20a9\u20ac\u20b9\u20bd\u20bf\u2190\u2191\u2192\u2193\u2194\u21d0\u21d2\u21d4",
    *"\u2500\u2502\u2514\u251c\u25a0\u25a1\u25aa\u25b6\u25ba\u25c6\u25cf\u2605\u2606\u2713\u2714\u2717\ufffd",
)

#: The settings whose order says something; the server sorts the others.
ORDERED = frozenset({"searchableAttributes"})

#: What the server reads as orders (quotes around a phrase, a minus before what must not be there), and what it does
#: not read at all.
_NO_WORDS = re.compile(r'["\0\ud800-\udfff]|(?<!\S)-+')


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
        if any(_differs(name, there.get(name) or [], value) for name, value in wanted.items()):
            self._do(lambda: self._client.index(index).update_settings(wanted))

    def put(self, index: str, documents: Sequence[Document]) -> None:
        """Add or replace documents, in as many requests as their size asks for."""
        for batch in _batches(encoded(storable(document)) for document in documents):
            self._send(index, batch)

    def _send(self, index: str, batch: Sequence[bytes]) -> None:
        """Send documents in one request; by halves where that is too large for the server, or a proxy before it."""
        body = b"[" + b",".join(batch) + b"]"
        try:
            self._do(lambda: self._client.index(index).add_documents_json(body, "id"))
        except SearchError as exc:
            if exc.code != PAYLOAD_TOO_LARGE or len(batch) == 1:
                raise
            half = len(batch) // 2
            self._send(index, batch[:half])
            self._send(index, batch[half:])

    def remove(self, index: str, ids: Sequence[str]) -> None:
        """Remove documents in one request."""
        if ids:
            chosen = f"id IN [{', '.join(_quoted(storable(one)) for one in ids)}]"
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
        """Search, with typing errors forgiven. The server looks at the first ten words of a query."""
        asked = _NO_WORDS.sub(" ", query).strip()
        if query.strip() and not words_of(asked):
            # Symbols only: no document has a word of it, and the server would take it for no query at all.
            return Results([], 0)
        options: dict[str, Any] = {
            "limit": min(limit, DEEPEST),
            "offset": min(offset, DEEPEST),
            "matchingStrategy": "all",
            "attributesToHighlight": ["*"],
            "attributesToCrop": ["*"],
            "cropLength": CROP,
            "highlightPreTag": MARK_BEGIN,
            "highlightPostTag": MARK_END,
        }
        if filters:
            options["filter"] = [f"{name} = {_quoted(storable(value))}" for name, value in filters.items()]
        answer = self._ask(lambda: self._client.index(index).search(asked, options))
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
            if exc.code != "index_already_exists":
                raise

    def _drop(self, index: str) -> None:
        try:
            self._do(lambda: self._client.index(index).delete())
        except SearchError as exc:
            if exc.code != "index_not_found":
                raise

    def _exists(self, index: str) -> bool:
        try:
            self._ask(lambda: self._client.get_index(index))
        except SearchError as exc:
            if exc.code == "index_not_found":
                return False
            raise
        return True

    def _ask(self, call: Callable[[], Any]) -> Any:
        """Call the server, and raise what goes wrong as a SearchError."""
        try:
            return call()
        except MeilisearchApiError as exc:
            raise _refused(_code(exc), exc.message or str(exc), exc.type or "", exc.status_code) from exc
        except MeilisearchTimeoutError as exc:
            raise SearchError(f"The search server did not finish in time: {exc}") from exc
        except (MeilisearchCommunicationError, MeilisearchError) as exc:
            raise SearchError(f"The search server cannot be reached: {exc}") from exc
        except (requests.RequestException, ValueError) as exc:
            # Cut off in the middle, or a proxy's own page: the client leaves those as they are.
            raise SearchError(f"The search server did not answer as one: {exc}") from exc

    def _do(self, call: Callable[[], Any]) -> None:
        """Start a task of the server's and wait for its success."""
        info = self._ask(call)
        task = self._ask(
            lambda: self._client.wait_for_task(
                info.task_uid, timeout_in_ms=TASK_MILLISECONDS, interval_in_ms=LOOK_MILLISECONDS
            )
        )
        if task.status != "succeeded":
            error = {
                "code": task.status,
                "message": f"its task {info.task_uid} was {task.status}",
                **(task.error or {}),
            }
            raise _refused(error["code"], error["message"], error.get("type", ""))


def _refused(code: str, message: str, kind: str, status: int = HTTPStatus.BAD_REQUEST) -> SearchError:
    said = f"The search server refused ({code}): {message}"
    if code in OF_DOCUMENT:
        return DocumentRefused(said, code=code)
    passing = (
        kind in PASSING
        or code == CANCELED
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        or status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
    )
    return SearchError(said, permanent=not passing, code=code)


def _code(error: MeilisearchApiError) -> str:
    """Return the code of a refusal; a proxy before the server gives none."""
    if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return PAYLOAD_TOO_LARGE
    return error.code or f"HTTP {error.status_code}"


def _batches(documents: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield documents in batches of at most BATCH_BYTES; one that is larger alone."""
    batch: list[bytes] = []
    size = 0
    for document in documents:
        if batch and size + len(document) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document)
    if batch:
        yield batch


def _differs(name: str, there: Sequence[Any], wanted: Sequence[str]) -> bool:
    return list(there) != list(wanted) if name in ORDERED else sorted(map(str, there)) != sorted(wanted)


def _staging(index: str) -> str:
    return f"{index}_staging"


def _settings(settings: IndexSettings) -> dict[str, list[str]]:
    return {
        "searchableAttributes": list(settings.searchable),
        # Documents are removed by a filter on their ids.
        "filterableAttributes": ["id", *settings.filterable],
        "sortableAttributes": list(settings.sortable),
        "separatorTokens": list(SEPARATORS),
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
