"""An SMTP server that keeps what it receives and misbehaves on request."""

import asyncio
import email.policy
import hmac
import ssl
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.ports import free_port

#: The points of a conversation at which the server can misbehave; CONTENT is the answer to the mail's text.
STEPS = ("EHLO", "AUTH", "MAIL", "RCPT", "DATA", "CONTENT")

MECHANISMS = frozenset({"CRAM-MD5", "LOGIN", "PLAIN"})


@dataclass(frozen=True)
class ReceivedMail:
    """A mail the server took, with the envelope it came in."""

    sender: str
    recipients: list[str]
    content: bytes
    user: str | None
    encrypted: bool
    connection: int

    @cached_property
    def message(self) -> EmailMessage:
        """The parsed mail."""
        message = BytesParser(policy=email.policy.default).parsebytes(self.content)
        assert isinstance(message, EmailMessage)
        return message


@dataclass
class _Fault:
    """One misbehaviour: at which step, what is answered (None: hang up; "": never answer), how often it remains."""

    step: str
    reply: str | None
    times: int | None
    recipient: str | None

    def strikes(self, step: str, argument: str) -> bool:
        if self.step != step or self.times == 0:
            return False
        if self.recipient is not None and self.recipient not in argument:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class SmtpServer:
    """A server on 127.0.0.1; it keeps its port and its mails over `stop` and `start`.

    `tls` is "none", "starttls" (offered, and required before a mail) or "implicit". With `login`, a user and
    a password, nothing is taken from a client that has not logged in, by the one `mechanism` that it offers.
    `certificate` is a PEM file to trust.
    """

    def __init__(
        self,
        directory: Path,
        *,
        tls: str = "none",
        login: tuple[str, str] | None = None,
        mechanism: str = "PLAIN",
    ) -> None:
        self.port = free_port()
        self.tls = tls
        self.login = login
        self.mechanism = mechanism
        self.certificate = directory / f"smtp-{self.port}.pem"
        self.mails: list[ReceivedMail] = []
        #: How many connections were ever made.
        self.connections = 0
        #: The names by which clients introduced themselves.
        self.hellos: list[str] = []
        self._faults: list[_Fault] = []
        self._open: set[_Conversation] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: asyncio.Server | None = None
        self._context = self._make_context() if tls != "none" else None

    def _make_context(self) -> ssl.SSLContext:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        return context

    # Its life.

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def start(self) -> Self:
        """Listen, unless it does."""
        if not self.running:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
            self._thread.start()
            self._listener = self._run(
                self._loop.create_server(
                    lambda: _Conversation(self),
                    "127.0.0.1",
                    self.port,
                    ssl=self._context if self.tls == "implicit" else None,
                )
            )
        return self

    def stop(self) -> None:
        """Hang up on everybody and stop listening."""
        if not self.running:
            return
        self._run(self._close())
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._listener = None

    async def _close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        self._hang_up()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def restart(self) -> None:
        """Hang up on everybody, and listen again."""
        self.stop()
        self.start()

    def reset(self) -> None:
        """Start it if it is down, hang up, and forget mails, faults and counts."""
        self.start()
        self.drop_connections()
        self._faults.clear()
        self.mails.clear()
        self.hellos.clear()
        self.connections = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # What tests make it do.

    def refuse(self, step: str, reply: str, *, times: int | None = None, recipient: str | None = None) -> None:
        """Answer `reply` ("451 try later", "550 5.1.1 no such user") at a step: always, or `times` times."""
        self._add(step, reply, times, recipient)

    def hang_up_at(self, step: str, *, times: int | None = None) -> None:
        """Drop the connection without an answer at a step."""
        self._add(step, None, times, None)

    def fall_silent_at(self, step: str, *, times: int | None = None) -> None:
        """Keep the connection open and never answer at a step."""
        self._add(step, "", times, None)

    def _add(self, step: str, reply: str | None, times: int | None, recipient: str | None) -> None:
        if step not in STEPS:
            raise ValueError(f"step {step!r} is not one of {', '.join(STEPS)}")
        self._faults.append(_Fault(step, reply, times, recipient))

    def behave(self) -> None:
        """Forget every fault."""
        self._faults.clear()

    def drop_connections(self) -> None:
        """Hang up on everybody, as a server does with idle clients; go on listening."""
        self._run(self._drop())

    async def _drop(self) -> None:
        self._hang_up()

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._open)

    # What its conversations need.

    def fault_at(self, step: str, argument: str) -> _Fault | None:
        """Return the first misbehaviour asked for at this step, and count it."""
        return next((fault for fault in self._faults if fault.strikes(step, argument)), None)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, credentials: Any
    ) -> AuthResult:
        """Compare user and password with `login`."""
        known = isinstance(credentials, LoginPassword) and self.login == (
            credentials.login.decode("utf-8", "surrogateescape"),
            credentials.password.decode("utf-8", "surrogateescape"),
        )
        return AuthResult(success=known, handled=False, auth_data=credentials)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail of a conversation, unless told to misbehave."""
        assert isinstance(server, _Conversation)
        if reply := await server.fault_reply("CONTENT", " ".join(envelope.rcpt_tos)):
            return reply
        self.mails.append(
            ReceivedMail(
                sender=envelope.mail_from or "",
                recipients=list(envelope.rcpt_tos),
                content=envelope.content if isinstance(envelope.content, bytes) else b"",
                user=_user(session),
                encrypted=session.ssl is not None or self.tls == "implicit",
                connection=server.number,
            )
        )
        return "250 OK"

    def _hang_up(self) -> None:
        for conversation in list(self._open):
            conversation.abort()

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)


def _user(session: Session) -> str | None:
    # What it is, the authenticator decides; aiosmtpd declares no more than that there is nothing at first.
    credentials = cast("object", session.auth_data)
    return credentials.login.decode() if isinstance(credentials, LoginPassword) else None


class _Conversation(SMTP):
    """One client's conversation."""

    def __init__(self, owner: SmtpServer) -> None:
        starttls = owner.tls == "starttls"
        super().__init__(
            owner,
            hostname="smtp.test",
            loop=asyncio.get_running_loop(),
            enable_SMTPUTF8=True,
            tls_context=owner._context if starttls else None,
            require_starttls=starttls,
            auth_required=owner.login is not None,
            auth_require_tls=starttls,
            auth_exclude_mechanism=MECHANISMS - {owner.mechanism},
            authenticator=owner.authenticate,
        )
        self.owner = owner
        self.number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Called a second time when STARTTLS succeeded.
        if not self.number:
            self.owner.connections += 1
            self.number = self.owner.connections
            self.owner._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.owner._open.discard(self)
        super().connection_lost(error)

    def abort(self) -> None:
        """Hang up at once."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def fault_reply(self, step: str, argument: str | None = "") -> str | None:
        """Return what to answer instead of the truth, or None; where no answer is due, never return."""
        fault = self.owner.fault_at(step, argument or "")
        if fault is None:
            return None
        if fault.reply is None:
            self.abort()
        if not fault.reply:
            # Cancelled when the connection is lost.
            await asyncio.Event().wait()
        return fault.reply

    async def auth_CRAM__MD5(self, server: SMTP, args: list[str]) -> AuthResult:
        """Check the answer to a challenge (RFC 2195), which aiosmtpd cannot."""
        challenge = b"<1896.697170952@smtp.test>"
        answer = await self.challenge_auth(challenge)
        user, password = self.owner.login or ("", "")
        digest = hmac.new(password.encode("utf-8", "surrogateescape"), challenge, "md5").hexdigest()
        known = answer == f"{user} {digest}".encode()
        return AuthResult(success=known, handled=False, auth_data=LoginPassword(user.encode(), b""))

    async def smtp_EHLO(self, hostname: str) -> None:
        self.owner.hellos.append(hostname)
        if reply := await self.fault_reply("EHLO", hostname):
            await self.push(reply)
        else:
            await super().smtp_EHLO(hostname)

    async def smtp_AUTH(self, arg: str) -> None:
        if reply := await self.fault_reply("AUTH"):
            await self.push(reply)
        else:
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:
        if reply := await self.fault_reply("MAIL", arg):
            await self.push(reply)
        else:
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:
        if reply := await self.fault_reply("RCPT", arg):
            await self.push(reply)
        else:
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:
        if reply := await self.fault_reply("DATA"):
            await self.push(reply)
        else:
            await super().smtp_DATA(arg)
