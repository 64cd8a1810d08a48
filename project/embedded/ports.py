"""The ports `make up` listens on: by which variable each is chosen, and whether it is free."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from project import env


@dataclass(frozen=True)
class Port:
    """A port, the variable that chooses it, and what listens there."""

    number: int
    variable: str
    purpose: str


def chosen(variable: str, default: int, purpose: str, *, count: int = 1) -> list[Port]:
    """Return the port a variable chooses, with the `count - 1` that follow it."""
    first = env.integer(variable, default, least=1, most=65_536 - count)
    return [Port(first + offset, variable, purpose) for offset in range(count)]


def check(ports: Iterable[Port], host: str) -> None:
    """Raise ImproperlyConfigured, one line a port, for those that are busy or chosen twice."""
    problems: list[str] = []
    seen: dict[int, Port] = {}
    for port in ports:
        other = seen.setdefault(port.number, port)
        if other is not port:
            problems.append(
                f"{other.variable} ({other.purpose}) and {port.variable} ({port.purpose}) "
                f"both lead to port {port.number}: set one of them to another."
            )
        elif is_taken(port.number, host):
            problems.append(
                f"Port {port.number} is busy; {port.purpose} needs it. Stop what listens there, "
                f"or choose another port with {port.variable}."
            )
    if problems:
        raise ImproperlyConfigured("\n".join(problems))


def is_taken(number: int, host: str = "127.0.0.1") -> bool:
    """Return whether something listens on this port."""
    with socket.socket() as probe:
        # As servers do: connections that are still being closed do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError:
            return True
        return False
