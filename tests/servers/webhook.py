"""A receiver of webhooks that keeps what came, and answers as it is told."""

from dataclasses import dataclass

from tests.servers.http import HttpServer, SilentHandler


@dataclass(frozen=True)
class Received:
    """One request; the names of its headers in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class WebhookServer(HttpServer):
    """One on 127.0.0.1, without TLS."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        #: What the next requests are answered in place of 200, in turn: status and headers; None: hang up.
        self.answers: list[tuple[int, dict[str, str]] | None] = []
        super().__init__(_Handler)

    @property
    def url(self) -> str:
        """Where it listens, with something secret in its path, as Slack's have it."""
        return f"{super().url}/services/T0/s3cr3t"


class _Handler(SilentHandler):
    owner: WebhookServer

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            # Its sender was killed amid the request: nobody has been told.
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.received.append(Received(self.path, headers, body))
        answer = self.owner.answers.pop(0) if self.owner.answers else (200, {})
        if answer is None:
            self.close_connection = True
            return
        status, more = answer
        self.send_response(status)
        for name, value in {"Content-Length": "0", **more}.items():
            self.send_header(name, value)
        self.end_headers()
