"""What stand-ins of services over HTTP have in common: a port of their own, threads, and silence."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class HttpServer:
    """One on 127.0.0.1, without TLS.

    Args:
        handler: answers the requests; it gets this server as its `owner`.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"owner": self}))
        self._server.daemon_threads = True
        self.port = self._server.server_port

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        serve = self._server.serve_forever
        threading.Thread(target=serve, kwargs={"poll_interval": 0.02}, name=type(self).__name__, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class SilentHandler(BaseHTTPRequestHandler):
    """Writes nothing of what it was asked."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
