"""One request, with a bound on everything: how long it takes, how much is read, where it goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

#: How long to wait for a server that says nothing, in seconds: well below the time limit of the jobs.
SECONDS = 5.0

#: The longest answer that is read, in bytes.
MOST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; headers by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """Raised when a server did not answer in time, or not at all: nobody knows whether it did what it was asked."""


def post(url: str, body: str, headers: Mapping[str, str]) -> Answer:
    """Post a body of JSON. Follows no redirection. Raises NoAnswer."""
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("POST", path, body.encode(), {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, told, answer.read(MOST_BYTES))
    except (OSError, HTTPException) as exc:
        raise NoAnswer(f"{parts.hostname} gave no answer: {str(exc) or type(exc).__name__}.") from exc
    finally:
        connection.close()


def pause_of(answer: Answer, otherwise: float) -> float:
    """Return for how many seconds a server asked to be left alone, a day at most; `otherwise` where it did not say."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), 86_400.0) if said.isdecimal() else otherwise
