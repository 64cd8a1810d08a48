"""The environment of a running `make up`, for the other terminals of its checkout: left by it, adopted by the settings.

Production never adopts one: a process that has DEBUG, or any variable that production requires, or runs on a platform,
has been told what it is.
"""

import fcntl
import os
import shlex
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from django.core.exceptions import ImproperlyConfigured

#: Below the data directory of `make up`: what it runs with, one `NAME=value` a line, quoted as a shell reads it;
FILE = "make-up.env"
#: and what it holds locked as long as it runs.
LOCK = "lock"

#: What production cannot do without. Where one of them is set, what is missing of the others is a mistake.
REQUIRED = ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL")
#: Whoever has one of these has said whether this is production. Heroku, and what is like it, names processes in DYNO.
_DECIDED_BY = ("DEBUG", *REQUIRED, "DYNO")

_HEADER = (
    "# What `make up` runs with, for the other terminals of this checkout. It holds secrets, and is written anew.\n"
)


def leave(var: Path, variables: Mapping[str, str], *, port: int) -> None:
    """Write down what `make up` runs with, and at which port its site is, for its owner's eyes only."""
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in sorted({**variables, "PORT": str(port)}.items())]
    # Written beside it and moved: nobody reads half of it, and it never has another mode.
    new = var / f"{FILE}.new"
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(_HEADER + "".join(lines))
    new.replace(var / FILE)


def adopt(var: Path) -> None:
    """Take what a running `make up` has left in `var`, beneath what is set already.

    Does nothing in production, and where there never was one. Raises ImproperlyConfigured where it has stopped.
    """
    if any(os.environ.get(name, "").strip() for name in _DECIDED_BY):
        return
    try:
        left = dict(word.split("=", 1) for word in shlex.split((var / FILE).read_text(), comments=True))
        port = int(left.pop("PORT", ""))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as exc:
        raise ImproperlyConfigured(f"{var / FILE} cannot be read ({exc}): start `make up` anew, or set DEBUG.") from exc
    if not is_running(var):
        raise ImproperlyConfigured(_stopped(var, port))
    for name, value in left.items():
        if not os.environ.get(name, "").strip():
            os.environ[name] = value


def is_running(var: Path) -> bool:
    """Return whether a `make up` holds the data directory."""
    try:
        with (var / LOCK).open() as lock:
            return not lock_alone(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def lock_alone(lock: IO[str], how: int = fcntl.LOCK_EX) -> bool:
    """Lock a file, until it is closed, unless somebody else has it; return whether it is locked."""
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stopped(var: Path, port: int) -> str:
    """Say that it has stopped, and what follows from it."""
    with socket.socket() as probe:
        probe.settimeout(1)
        answers = probe.connect_ex(("127.0.0.1", port)) == 0
    there = f"at port {port} somebody else answers" if answers else f"nobody answers at port {port}"
    return (
        f"`make up` does not run any more on the data in {var}, and {there}: start it again in another terminal, "
        f"or set DEBUG=true to go without it. In production {', '.join(REQUIRED)} are required."
    )
