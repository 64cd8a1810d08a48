"""Takes in what programs report over HTTP: Sentry's envelopes, OpenTelemetry's spans."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """An HTTP server that says yes to everything and keeps it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                requests.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """Where it listens: host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Return what Sentry was told, of one kind: `event`, `check_in`."""
        return [item for path, body in list(self.requests) if "envelope" in path for item in _items(body, kind)]

    def spans(self) -> list[Span]:
        """Return the spans that OpenTelemetry was told of."""
        found: list[Span] = []
        for path, body in list(self.requests):
            if path.endswith("/v1/traces"):
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


def _items(body: bytes, kind: str) -> Iterator[dict[str, Any]]:
    lines = body.split(b"\n")[1:]
    while len(lines) >= 2:
        head, payload, *lines = lines
        if head and json.loads(head).get("type") == kind:
            yield json.loads(payload)
