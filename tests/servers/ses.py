"""A stand-in for Amazon SES that takes SendEmail alone, checks all of it, and misbehaves on request."""

import base64
import binascii
import json
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.servers import sigv4
from tests.servers.ports import free_port
from tests.servers.smtp import ReceivedMail

PATH = "/v2/email/outbound-emails"


@dataclass
class _Fault:
    """One misbehaviour: what is answered (None: hang up; "": never answer), to whom, and how often it remains."""

    status: int
    code: str | None
    words: str
    recipient: str
    times: int | None

    def strikes(self, recipient: str) -> bool:
        if self.times == 0 or self.recipient not in recipient:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class SesServer:
    """The API of one region on 127.0.0.1, without TLS; it keeps its port and mails over `stop` and `start`."""

    region = "eu-test-1"
    access_key = "AKIATEST"
    secret_key = "a secret of the tests"  # noqa: S105  Guards nothing.

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[ReceivedMail] = []
        #: Every request that came, good or not.
        self.requests = 0
        #: What a well-signed request gets in place of an answer of SES: status and body.
        self.answer_instead: tuple[int, bytes] | None = None
        self._faults: list[_Fault] = []
        self._server: _Server | None = None
        #: Set where nobody is to be kept waiting any longer.
        self.released = threading.Event()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen, unless it does."""
        if self._server is None:
            self.released.clear()
            self._server = _Server(self)
            threading.Thread(target=self._server.serve_forever, args=(0.02,), name="ses", daemon=True).start()
        return self

    def stop(self) -> None:
        """Hang up on everybody and stop listening."""
        server, self._server = self._server, None
        if server is not None:
            self.released.set()
            server.shutdown()
            server.hang_up()
            server.server_close()

    def refuse(
        self, status: int, code: str, words: str = "No.", *, times: int | None = None, recipient: str = ""
    ) -> None:
        """Answer an error of Amazon's: always or `times` times, to every mail or to those for some recipients."""
        self._faults.append(_Fault(status, code, words, recipient, times))

    def hang_up(self, *, times: int | None = None) -> None:
        """Drop the connection without an answer, the request read."""
        self._faults.append(_Fault(0, None, "", "", times))

    def fall_silent(self, *, times: int | None = None) -> None:
        """Keep the connection open and never answer."""
        self._faults.append(_Fault(0, "", "", "", times))

    def behave(self) -> None:
        """Forget every fault."""
        self._faults.clear()

    def fault_for(self, recipient: str) -> _Fault | None:
        """Return the first misbehaviour asked for, and count it."""
        return next((fault for fault in self._faults if fault.strikes(recipient)), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, owner: SesServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", owner.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Drop every connection, kept ones too."""
        for request in list(self._open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # Closed meanwhile.


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        owner = self.server.owner
        owner.requests += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if code := self._signature_problem(body):
            self._refuse(403, code, "The request signature we calculated does not match the one you provided.")
            return
        if owner.answer_instead is not None:
            self._answer(*owner.answer_instead)
            return
        try:
            mail = _read(self.path, self.headers["Content-Type"], body)
        except (ValueError, KeyError, TypeError) as exc:
            self._refuse(400, "BadRequestException", f"{exc!r}")
            return
        self._take(mail)

    def _take(self, mail: ReceivedMail) -> None:
        fault = self.server.owner.fault_for(mail.recipients[0])
        if fault is None:
            self.server.owner.mails.append(mail)
            self._answer(200, json.dumps({"MessageId": f"{len(self.server.owner.mails):020d}"}).encode())
        elif fault.code:
            self._refuse(fault.status, fault.code, fault.words)
        else:
            if fault.code == "":
                self.server.owner.released.wait(30)
            self.close_connection = True

    def _signature_problem(self, body: bytes) -> str:
        owner = self.server.owner
        if f"Credential={owner.access_key}/" not in self.headers.get("Authorization", ""):
            return "UnrecognizedClientException"
        return sigv4.problem(
            "POST", self.path, self.headers, body, secret=owner.secret_key, region=owner.region, service="ses"
        )

    def _refuse(self, status: int, code: str, words: str) -> None:
        self._answer(status, json.dumps({"message": words}).encode(), code)

    def _answer(self, status: int, content: bytes, error: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if error:
            self.send_header("x-amzn-ErrorType", f"{error}:http://internal.amazon.com/coral/com.amazonaws.ses/")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _read(path: str, content_type: str, body: bytes) -> ReceivedMail:
    """Return the mail of a request. Raises ValueError, KeyError or TypeError for one that SES would refuse."""
    if (path, content_type) != (PATH, "application/json"):
        raise ValueError(f"{path} with {content_type}")
    request: dict[str, Any] = json.loads(body)
    if set(request) != {"FromEmailAddress", "Destination", "Content"}:
        raise ValueError(f"unexpected fields: {sorted(request)}")
    (to,) = request["Destination"]["ToAddresses"]
    sender = request["FromEmailAddress"]
    if not sender.isascii() or not to.isascii():
        raise ValueError("Local address contains control or whitespace, or is not ASCII")
    try:
        content = base64.b64decode(request["Content"]["Raw"]["Data"], validate=True)
    except binascii.Error as exc:
        raise ValueError(f"no base64: {exc}") from exc
    mail = ReceivedMail(sender, [to], content, user=None, encrypted=False, connection=0)
    if f"<{sender}>" not in mail.message["From"] or mail.message.defects or not content.isascii():
        raise ValueError("no MIME message of this sender")
    return mail
