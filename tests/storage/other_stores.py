"""Stores of other makes: an S3 server in this process, as strict, as poor or as full of odd keys as a test wants it."""

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from storage.client import Store
from storage.conf import StoreConf

_MODIFIED = "2020-01-01T00:00:00.000Z"


@dataclass
class OtherStore:
    """What the server holds, and how it is.

    Attributes:
        keys: of its objects, each of one byte. No name is too odd, as at Amazon's.
        wants_md5: whether DeleteObjects needs a Content-MD5, and counts no other checksum.
        bulk: the code with which it refuses DeleteObjects; empty where it knows it.
        refused: keys it will not delete, each with the code it says.
        poison: a key that it cannot read: DeleteObjects that names it is refused as a whole.
        region: the only one it takes; empty where it takes any.
        checksums: the headers with a checksum that DeleteObjects came with.
    """

    keys: set[str] = field(default_factory=set)
    wants_md5: bool = False
    bulk: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    poison: str = ""
    region: str = ""
    checksums: set[str] = field(default_factory=set)
    endpoint: str = ""

    def reset(self) -> None:
        """Be an empty store again that takes everything."""
        self.__init__(endpoint=self.endpoint)  # type: ignore[misc]  # Its own defaults.

    @property
    def store(self) -> Store:
        """Our client for it."""
        return Store(StoreConf("content", self.endpoint, "bucket", "key", "secret"))

    def delete(self, key: str) -> str:
        """Delete an object; return the code of a refusal."""
        if code := self.refused.get(key, ""):
            return code
        self.keys.discard(key)
        return ""


@contextmanager
def running(store: OtherStore) -> Iterator[OtherStore]:
    """Serve a store on a free port."""
    handler = type("Handler", (_Handler,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        store.endpoint = f"http://127.0.0.1:{server.server_port}"
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    store: OtherStore

    def do_GET(self) -> None:
        if not self._in_region():
            return
        url_encoded = parse_qs(urlsplit(self.path).query).get("encoding-type") == ["url"]
        assert url_encoded, "a control character cannot stand in the listing"
        contents = "".join(
            f"<Contents><Key>{quote(key)}</Key><Size>1</Size><LastModified>{_MODIFIED}</LastModified></Contents>"
            for key in sorted(self.store.keys)
        )
        self._answer(200, f"<ListBucketResult><EncodingType>url</EncodingType>{contents}</ListBucketResult>")

    def do_DELETE(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if code := self.store.delete(path.removeprefix("/bucket/")):
            self._refuse(403, code)
        else:
            self._answer(204, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._in_region():
            return
        if self.store.bulk:
            self._refuse(501, self.store.bulk)
            return
        self.store.checksums |= {name.lower() for name in self.headers if _is_checksum(name.lower())}
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if self.store.wants_md5 and self.headers["Content-MD5"] != md5:
            self._refuse(400, "MissingContentMD5")
            return
        try:
            document = ET.fromstring(body)  # noqa: S314  Our own client's.
        except ET.ParseError:
            self._refuse(400, "MalformedXML")
            return
        named = [one.text or "" for one in document.iter() if one.tag.endswith("Key")]
        if self.store.poison and self.store.poison in named:
            self._refuse(400, "InvalidArgument")
            return
        errors = "".join(
            f"<Error><Key>{escape(key)}</Key><Code>{code}</Code><Message>No.</Message></Error>"
            for key in named
            if (code := self.store.delete(key))
        )
        self._answer(200, f"<DeleteResult>{errors}</DeleteResult>")

    def _in_region(self) -> bool:
        if f"/{self.store.region or ''}" in self.headers["Authorization"]:
            return True
        self._refuse(400, "AuthorizationHeaderMalformed")
        return False

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>")

    def _answer(self, status: int, xml: str) -> None:
        content = xml.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _is_checksum(name: str) -> bool:
    return name == "content-md5" or name.startswith(("x-amz-checksum", "x-amz-sdk-checksum"))
