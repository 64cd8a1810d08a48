"""A strict stand-in for a Meilisearch server, written from its public API documentation.

https://www.meilisearch.com/docs/reference/api/overview — as of v1.50. It does what our backend uses, as the real
one does it: changes are accepted at once (202) and done later, one after the other; what is wrong with a request is
refused at once with the documented code, what is wrong with its content makes its task fail. Anything else is
refused loudly, so that the backend cannot come to rely on what is not documented.
"""

import itertools
import json
import queue
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.search.charabia import Token, tokens

DOCUMENT_ID = re.compile(r"[a-zA-Z0-9_-]{1,511}")
INDEX_UID = re.compile(r"[a-zA-Z0-9_-]{1,400}")
#: Settings, and whether the server keeps their order.
SETTINGS = {
    "searchableAttributes": True,
    "filterableAttributes": False,
    "sortableAttributes": False,
    "separatorTokens": False,
}
SEARCH_PARAMETERS = {
    *("q", "limit", "offset", "filter", "sort", "matchingStrategy", "attributesToHighlight", "attributesToCrop"),
    *("cropLength", "highlightPreTag", "highlightPostTag", "attributesToRetrieve", "showRankingScore"),
}

#: Bytes of a request, by default.
PAYLOAD_LIMIT = 104_857_600

#: Words of a query that are looked at, and results that are counted and shown, by default.
QUERY_WORDS, TOTAL_HITS = 10, 1000


class Refusal(Exception):
    """An error answer: HTTP status, code, message, and the type of error."""

    def __init__(self, status: int, code: str, message: str, kind: str = "invalid_request") -> None:
        super().__init__(message)
        self.status, self.code, self.kind = status, code, kind


class Index:
    """One index: settings and documents."""

    def __init__(self, primary_key: str | None) -> None:
        self.primary_key = primary_key
        self.settings: dict[str, list[str]] = {
            "searchableAttributes": ["*"],
            "filterableAttributes": [],
            "sortableAttributes": [],
            "separatorTokens": [],
        }
        self.documents: dict[str, dict[str, Any]] = {}


class Meilisearch:
    """The server; `with Meilisearch("key") as server:` and then `server.url`."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.indexes: dict[str, Index] = {}
        self.tasks: dict[int, dict[str, Any]] = {}
        #: Requests, as (method, path), for tests that count them.
        self.requests: list[tuple[str, str]] = []
        self.payload_limit = PAYLOAD_LIMIT
        #: What the next tasks end with, for tests of a server in trouble: an error, or `canceled`.
        self.troubles: list[Refusal | str] = []
        #: What stands before the server answers with, while set: a status and a page.
        self.proxy: tuple[int, str] | None = None
        #: While set, accepted tasks wait: a busy server.
        self.held = threading.Event()
        self._numbers = itertools.count()
        self._work: queue.Queue[tuple[int, Callable[[], None]] | None] = queue.Queue()
        handler = type("Handler", (_Handler,), {"server_object": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        threading.Thread(target=self._process, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._work.put(None)
        self._http.shutdown()
        self._http.server_close()

    # Tasks.

    def enqueue(self, kind: str, uid: str | None, act: Callable[[], None]) -> dict[str, Any]:
        """Accept a change; it is done in its turn."""
        number = next(self._numbers)
        task = {"uid": number, "indexUid": uid, "status": "enqueued", "type": kind, "error": None}
        self.tasks[number] = task
        self._work.put((number, act))
        summary = {name: task[name] for name in ("indexUid", "status", "type")}
        return {"taskUid": number, "enqueuedAt": "2026-01-01T00:00:00.000000Z", **summary}

    def _process(self) -> None:
        while (item := self._work.get()) is not None:
            number, act = item
            while self.held.is_set():
                threading.Event().wait(0.01)
            self.tasks[number]["status"] = "processing"
            try:
                trouble = self.troubles.pop(0) if self.troubles else None
                if isinstance(trouble, Refusal):
                    raise trouble
                if trouble is not None:
                    self.tasks[number]["status"] = trouble
                    continue
                act()
            except Refusal as exc:
                self.tasks[number] |= {"status": "failed", "error": _error(exc)}
            else:
                self.tasks[number]["status"] = "succeeded"

    def index(self, uid: str) -> Index:
        """Return an index. Raises the documented refusal where it is not there."""
        if uid not in self.indexes:
            raise Refusal(404, "index_not_found", f"Index `{uid}` not found.")
        return self.indexes[uid]

    # What tasks do.

    def create(self, uid: str, primary_key: str | None) -> None:
        """Create an index."""
        if uid in self.indexes:
            raise Refusal(409, "index_already_exists", f"Index `{uid}` already exists.")
        self.indexes[uid] = Index(primary_key)

    def drop(self, uid: str) -> None:
        """Delete an index."""
        self.index(uid)
        del self.indexes[uid]

    def add(self, uid: str, documents: list[dict[str, Any]], primary_key: str | None) -> None:
        """Add or replace documents: all of them or none. An index that is not there is created."""
        index = self.indexes.setdefault(uid, Index(primary_key))
        index.primary_key = index.primary_key or primary_key
        key = index.primary_key
        if key is None:
            raise Refusal(400, "index_primary_key_no_candidate_found", "The primary key inference failed.")
        if primary_key is not None and primary_key != key:
            raise Refusal(400, "index_primary_key_already_exists", f"Index already has a primary key: `{key}`.")
        for document in documents:
            if key not in document:
                raise Refusal(400, "missing_document_id", f"Document doesn't have a `{key}` attribute.")
            if not DOCUMENT_ID.fullmatch(str(document[key])):
                raise Refusal(400, "invalid_document_id", f"Document identifier `{document[key]!r}` is invalid.")
        index.documents |= {str(document[key]): document for document in documents}

    def remove(self, uid: str, chosen: str) -> None:
        """Remove documents by a filter on their ids; those not there are no error."""
        index = self.index(uid)
        match = re.fullmatch(r"id IN \[(.*)\]", chosen)
        if match is None or "id" not in index.settings["filterableAttributes"]:
            raise Refusal(400, "invalid_document_filter", f"Attribute is not filterable in `{chosen}`.")
        for one in re.findall(r'"((?:[^"\\]|\\.)*)"', match.group(1)):
            index.documents.pop(one, None)

    def swap(self, pairs: list[tuple[str, str]]) -> None:
        """Swap indexes, all pairs or none."""
        missing = [uid for pair in pairs for uid in pair if uid not in self.indexes]
        if missing:
            raise Refusal(404, "index_not_found", f"Indexes {', '.join(f'`{uid}`' for uid in missing)} not found.")
        for one, other in pairs:
            self.indexes[one], self.indexes[other] = self.indexes[other], self.indexes[one]

    def search(self, uid: str, body: dict[str, Any]) -> dict[str, Any]:
        """Search, with one typing error forgiven in words of five letters, two in those of nine."""
        index = self.index(uid)
        unknown = set(body) - SEARCH_PARAMETERS
        if unknown:
            raise Refusal(400, "bad_request", f"Unknown field `{min(unknown)}`.")
        query = _Query(body.get("q") or "", index)
        _passes({}, body.get("filter"), index.settings["filterableAttributes"])
        found = [
            document
            for document in index.documents.values()
            if _passes(document, body.get("filter"), index.settings["filterableAttributes"]) and query.matches(document)
        ][:TOTAL_HITS]
        offset, limit = body.get("offset", 0), body.get("limit", 20)
        for name, number in (("offset", offset), ("limit", limit)):
            if not 0 <= number < 2**64:
                raise Refusal(400, f"invalid_search_{name}", f"Invalid value at `.{name}`.")
        return {
            "hits": [document | {"_formatted": query.formatted(document, body)} for document in found[offset:][:limit]],
            "query": body.get("q") or "",
            "processingTimeMs": 0,
            "limit": limit,
            "offset": offset,
            "estimatedTotalHits": len(found),
        }


def _error(refusal: Refusal) -> dict[str, str]:
    return {
        "message": str(refusal),
        "code": refusal.code,
        "type": refusal.kind,
        "link": f"https://docs.meilisearch.com/errors#{refusal.code}",
    }


FILTER = re.compile(r'(\w+) = (?:"((?:[^"\\]|\\.)*)"|(true|false|-?\d+))')


def _passes(document: dict[str, Any], filters: list[str] | None, filterable: list[str]) -> bool:
    for one in filters or []:
        match = FILTER.fullmatch(one)
        if match is None:
            raise Refusal(400, "invalid_search_filter", f"Was expecting an operation in `{one}`.")
        name, text, plain = match.groups()
        if name not in filterable:
            raise Refusal(400, "invalid_search_filter", f"Attribute `{name}` is not filterable.")
        wanted = plain if plain is not None else re.sub(r"\\(.)", r"\1", text)
        there = document.get(name)
        if (str(there).lower() if isinstance(there, bool) else str(there)) != wanted:
            return False
    return True


class _Query:
    """A query as an index reads it: all words must match, those after a minus must not; without a word all match."""

    def __init__(self, text: str, index: Index) -> None:
        if '"' in text:
            raise Refusal(501, "not_modelled", "This stand-in knows no phrases.")
        self.settings = index.settings
        asked = self._tokens(text)[:QUERY_WORDS]
        self.unwanted = {one.word for one in asked if re.search(r"(?:^|\s)-$", text[: one.start])}
        self.words = [one.word for one in asked if one.word not in self.unwanted]
        #: The last word is a beginning, unless something follows it.
        self.beginning = self.words[-1] if asked and asked[-1].end == len(text) and self.words else None

    def matches(self, document: dict[str, Any]) -> bool:
        there = {one.word for text in self._texts(document) for one in self._tokens(text)}
        return there.isdisjoint(self.unwanted) and all(
            any(self._similar(one, word) for one in there) for word in self.words
        )

    def formatted(self, document: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        begin, end = body.get("highlightPreTag", "<em>"), body.get("highlightPostTag", "</em>")

        def marked(text: str) -> str:
            parts, at = [], 0
            for one in self._tokens(text):
                if any(self._similar(one.word, word) for word in self.words):
                    parts += [text[at : one.start], begin, text[one.start : one.end], end]
                    at = one.end
            return "".join([*parts, text[at:]])

        return {name: marked(value) if isinstance(value, str) else value for name, value in document.items()}

    def _tokens(self, text: str) -> list[Token]:
        return list(tokens(text, self.settings["separatorTokens"]))

    def _texts(self, document: dict[str, Any]) -> list[str]:
        names = self.settings["searchableAttributes"]
        chosen = document if names == ["*"] else {name: document.get(name) for name in names}
        return [str(value) for value in chosen.values() if value is not None]

    def _similar(self, token: str, word: str) -> bool:
        allowed = 0 if len(word) < 5 else 1 if len(word) < 9 else 2
        begins = word == self.beginning and token.startswith(word)
        return begins or token == word or (allowed > 0 and _distance(token, word) <= allowed)


def _distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for index, sign in enumerate(one, 1):
        above, row[0] = row[0], index
        for place, other_sign in enumerate(other, 1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (sign != other_sign))
    return row[-1]


class _Handler(BaseHTTPRequestHandler):
    server_object: Meilisearch
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        server, path = self.server_object, urlsplit(self.path).path
        server.requests.append((self.command, path))
        try:
            status, answer = self._answer(path)
        except Refusal as exc:
            status, answer = exc.status, _error(exc)
        data = json.dumps(answer).encode()
        if server.proxy is not None:
            status, data = server.proxy[0], server.proxy[1].encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if server.proxy else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 (http.server's names)

    def _body(self) -> Any:
        if self.command in {"GET", "DELETE"}:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return None
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        if length > self.server_object.payload_limit:
            raise Refusal(413, "payload_too_large", "The provided payload reached the size limit.")
        if not text:
            return None
        if not (self.headers.get("Content-Type") or "").startswith("application/json"):
            raise Refusal(415, "invalid_content_type", "The Content-Type is invalid.")
        try:
            # Lone surrogates are no JSON to the server.
            json.dumps(body := json.loads(text), ensure_ascii=False).encode()
            return body
        except ValueError:
            raise Refusal(400, "malformed_payload", "The json payload provided is malformed.") from None

    def _answer(self, path: str) -> tuple[int, Any]:
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {self.server_object.key}":
            if "Authorization" not in self.headers:
                raise Refusal(401, "missing_authorization_header", "The Authorization header is missing.")
            raise Refusal(403, "invalid_api_key", "The provided API key is invalid.")
        parts = path.strip("/").split("/")
        for pattern, method in _ROUTES.items():
            wanted = pattern.split(" ")
            names = wanted[1].split("/")
            fits = self.command == wanted[0] and len(names) == len(parts)
            if fits and all(name in {"*", part} for name, part in zip(names, parts, strict=True)):
                arguments = [part for name, part in zip(names, parts, strict=True) if name == "*"]
                answer: tuple[int, Any] = method(self, body, *arguments)
                return answer
        raise Refusal(404, "not_found", f"{self.command} {path} is not known to this server.")

    def _create(self, body: dict[str, Any]) -> tuple[int, Any]:
        uid = body.get("uid", "")
        if not INDEX_UID.fullmatch(uid):
            raise Refusal(400, "invalid_index_uid", f"`{uid}` is not a valid index uid.")
        server = self.server_object
        return 202, server.enqueue("indexCreation", uid, lambda: server.create(uid, body.get("primaryKey")))

    def _show(self, _: Any, uid: str) -> tuple[int, Any]:
        index = self.server_object.index(uid)
        when = "2026-01-01T00:00:00.000000Z"
        return 200, {"uid": uid, "primaryKey": index.primary_key, "createdAt": when, "updatedAt": when}

    def _drop(self, _: Any, uid: str) -> tuple[int, Any]:
        server = self.server_object
        return 202, server.enqueue("indexDeletion", uid, lambda: server.drop(uid))

    def _add(self, body: Any, uid: str) -> tuple[int, Any]:
        if not isinstance(body, list):
            raise Refusal(400, "malformed_payload", "Documents must be a list.")
        key = parse_qs(urlsplit(self.path).query).get("primaryKey", [None])[0]
        server = self.server_object
        return 202, server.enqueue("documentAdditionOrUpdate", uid, lambda: server.add(uid, body, key))

    def _remove(self, body: Any, uid: str) -> tuple[int, Any]:
        if set(body) != {"filter"}:
            raise Refusal(400, "bad_request", "A filter must be given, and nothing else.")
        server = self.server_object
        return 202, server.enqueue("documentDeletion", uid, lambda: server.remove(uid, body["filter"]))

    def _get_settings(self, _: Any, uid: str) -> tuple[int, Any]:
        return 200, self.server_object.index(uid).settings

    def _set_settings(self, body: dict[str, Any], uid: str) -> tuple[int, Any]:
        unknown = set(body) - set(SETTINGS)
        if unknown:
            raise Refusal(400, "bad_request", f"Unknown field `{min(unknown)}`.")
        server = self.server_object

        def act() -> None:
            kept = {name: value if SETTINGS[name] else sorted(set(value)) for name, value in body.items()}
            server.indexes.setdefault(uid, Index(None)).settings |= kept

        return 202, server.enqueue("settingsUpdate", uid, act)

    def _stats(self, _: Any, uid: str) -> tuple[int, Any]:
        index = self.server_object.index(uid)
        return 200, {"numberOfDocuments": len(index.documents), "isIndexing": False, "fieldDistribution": {}}

    def _search(self, body: dict[str, Any], uid: str) -> tuple[int, Any]:
        return 200, self.server_object.search(uid, body)

    def _swap(self, body: list[dict[str, Any]]) -> tuple[int, Any]:
        pairs = [tuple(one["indexes"]) for one in body]
        if any(len(pair) != 2 for pair in pairs):
            raise Refusal(400, "invalid_swap_indexes", "Two indexes must be given for each swap.")
        server = self.server_object
        return 202, server.enqueue("indexSwap", None, lambda: server.swap(pairs))

    def _task(self, _: Any, number: str) -> tuple[int, Any]:
        if int(number) not in self.server_object.tasks:
            raise Refusal(404, "task_not_found", f"Task `{number}` not found.")
        when = "2026-01-01T00:00:00.000000Z"
        times = {"enqueuedAt": when, "startedAt": when, "finishedAt": when, "duration": "PT0S", "canceledBy": None}
        return 200, {**self.server_object.tasks[int(number)], **times, "details": {}}


_ROUTES: dict[str, Callable[..., tuple[int, Any]]] = {
    "POST indexes": _Handler._create,
    "GET indexes/*": _Handler._show,
    "DELETE indexes/*": _Handler._drop,
    "POST indexes/*/documents": _Handler._add,
    "POST indexes/*/documents/delete": _Handler._remove,
    "GET indexes/*/settings": _Handler._get_settings,
    "PATCH indexes/*/settings": _Handler._set_settings,
    "GET indexes/*/stats": _Handler._stats,
    "POST indexes/*/search": _Handler._search,
    "POST swap-indexes": _Handler._swap,
    "GET tasks/*": _Handler._task,
}
