"""A stand-in for Telegram's bot API that takes sendMessage alone, checks all of it, and misbehaves on request."""

import json
import socket
from typing import Any

from tests.servers.http import HttpServer, SilentHandler

TOKEN = "123456789:AAE-tests-only_0123456789abcdefghij"  # noqa: S105  Guards nothing.


class TelegramServer(HttpServer):
    """One bot on 127.0.0.1, without TLS."""

    def __init__(self) -> None:
        #: What was taken, as (chat, text).
        self.messages: list[tuple[int | str, str]] = []
        #: What each request gets in place of an answer, in turn: status, headers and body; None: hang up.
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.requests = 0
        super().__init__(_Handler)

    def refuse(self, status: int, description: str, **parameters: int) -> None:
        """Answer the next request with an error of the API's."""
        answer = {"ok": False, "error_code": status, "description": description}
        self.answers.append((status, {}, json.dumps({**answer, "parameters": parameters}).encode()))


class _Handler(SilentHandler):
    owner: TelegramServer

    def do_POST(self) -> None:
        owner = self.owner
        owner.requests += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if owner.answers:
            self._instead(owner.answers.pop(0))
        elif self.path != f"/bot{TOKEN}/sendMessage":
            self._refuse(404 if "/bot" not in self.path else 401, "Unauthorized")
        elif problem := _problem(self.headers["Content-Type"], body):
            self._refuse(400, f"Bad Request: {problem}")
        else:
            message = json.loads(body)
            owner.messages.append((message["chat_id"], message["text"]))
            self._answer(200, {}, json.dumps({"ok": True, "result": {"message_id": len(owner.messages)}}).encode())

    def do_GET(self) -> None:
        self.owner.requests += 1
        self._refuse(404, "Not Found")

    def _instead(self, answer: tuple[int, dict[str, str], bytes] | None) -> None:
        if answer is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        else:
            self._answer(*answer)

    def _refuse(self, status: int, description: str) -> None:
        self._answer(status, {}, json.dumps({"ok": False, "error_code": status, "description": description}).encode())

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _problem(content_type: str, body: bytes) -> str:
    """Return what Telegram would find wrong with a request, or an empty text."""
    if content_type != "application/json":
        return f"unsupported {content_type}"
    message: dict[str, Any] = json.loads(body)
    if set(message) != {"chat_id", "text"}:
        return f"unexpected fields {sorted(message)}"
    if not isinstance(message["chat_id"], int) and not str(message["chat_id"]).startswith("@"):
        return "chat not found"
    if not 0 < len(message["text"]) <= 4096:
        return "message is too long"
    return ""
