"""Hands a body to a webhook by one POST. It tries once, follows no redirection, asks no proxy, and shows no URL."""

import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from email.utils import mktime_tz, parsedate_tz
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection

from jobs.errors import Permanent, Snooze
from jobs.webhooks.destinations import Destination, resolve
from jobs.webhooks.errors import WebhookError
from jobs.webhooks.signing import headers as signed

#: How long it may take to connect, and each time nothing comes, in seconds.
SECONDS = 10.0

#: How long a request may take in all once it is connected, in seconds, whatever comes meanwhile.
MOST_SECONDS = 30.0

#: The longest pause that is kept to where the other side asks for one, in seconds.
LONGEST_PAUSE = 3600

#: Refusals that pass: too early, too many, too slow.
_PASSING = frozenset({408, 425, 429})


def post(url: str, body: bytes, headers: Mapping[str, str], *, most_seconds: float = MOST_SECONDS) -> int:
    """Send a body of JSON. Returns the status of the answer, which is not read any further.

    Raises:
        WebhookError: it was not taken; permanent where the other side refuses it, or may not be asked at all.
    """
    destination = resolve(url)
    with closing(_socket(destination)) as plain, _in_time(destination, plain, most_seconds):
        connection = _connection(destination, plain)
        try:
            # The host is said as the URL has it, and not the address that was connected to.
            connection.request("POST", destination.target, body, {"Content-Type": "application/json", **headers})
            with closing(connection.getresponse()) as answer:
                return _checked(destination, answer)
        except (OSError, HTTPException) as exc:
            raise WebhookError(f"{destination.host} did not take it: {type(exc).__name__}: {exc}.") from None
        finally:
            connection.close()


def post_signed(url: str, secret: str, key: str, body: bytes) -> int:
    """Send a body of JSON with its signature. Returns and raises as `post`.

    Args:
        url: the receiver's.
        secret: of the receiver.
        key: names the message; the same for every attempt to deliver it.
        body: what is sent.
    """
    return post(url, body, signed(secret, key, int(time.time()), body))


@contextmanager
def as_outcome() -> Iterator[None]:
    """Turn what sending raises into what becomes of the job that sends."""
    try:
        yield
    except WebhookError as exc:
        if exc.permanent:
            raise Permanent(str(exc)) from exc
        if exc.retry_after is not None:
            raise Snooze(exc.retry_after, str(exc)) from exc
        raise


@contextmanager
def _in_time(destination: Destination, plain: socket.socket, seconds: float) -> Iterator[None]:
    """Hang up after so many seconds: a byte now and then would hold the job, and in a thread nothing else ends it.

    Raises:
        WebhookError: that was so, whatever had come until then.
    """
    is_late = threading.Event()

    def hang_up() -> None:
        is_late.set()
        with suppress(OSError):
            twin.shutdown(socket.SHUT_RDWR)

    # TLS takes the socket itself away.
    with closing(plain.dup()) as twin:
        timer = threading.Timer(seconds, hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            if is_late.is_set():
                raise WebhookError(f"{destination.host} did not answer within {seconds:g} s.")


def _connection(destination: Destination, plain: socket.socket) -> HTTPConnection:
    host, port = destination.host, destination.port
    if not destination.is_https:
        connection = HTTPConnection(host, port, timeout=SECONDS)
        connection.sock = plain
        return connection
    context = ssl.create_default_context()
    connection = HTTPSConnection(host, port, timeout=SECONDS, context=context)
    try:
        connection.sock = context.wrap_socket(plain, server_hostname=host)
    except OSError as exc:
        raise WebhookError(f"{host} did not agree on TLS: {exc}.") from None
    return connection


def _socket(destination: Destination) -> socket.socket:
    try:
        return socket.create_connection((destination.address, destination.port), timeout=SECONDS)
    except OSError as exc:
        raise WebhookError(f"{destination.host} cannot be reached: {exc}.") from None


def _checked(destination: Destination, answer: HTTPResponse) -> int:
    status = answer.status
    if 200 <= status < 300:
        return status
    permanent = status < 500 and status not in _PASSING
    raise WebhookError(
        f"{destination.host} answered {status} {answer.reason}"[:200] + ".",
        permanent=permanent,
        retry_after=None if permanent else _pause(answer.getheader("Retry-After", "")),
        status=status,
    )


def _pause(text: str) -> int | None:
    """Return the seconds of a Retry-After, which says these or a time (RFC 9110, 10.2.3); None where there are none."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        seconds = int(text[:9])
    else:
        at = parsedate_tz(text)
        seconds = 0 if at is None else math.ceil(mktime_tz(at) - time.time())
    return min(seconds, LONGEST_PAUSE) if seconds > 0 else None
