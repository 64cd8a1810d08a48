"""Which ports `make up` takes, and what it says of those it cannot have."""

import socket
from collections.abc import Iterator

import pytest
from django.core.exceptions import ImproperlyConfigured

from project.embedded.ports import Port, check, chosen, is_taken
from tests.servers import free_port

HOST = "127.0.0.1"


@pytest.fixture
def busy() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_variable_chooses_a_port_and_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_PORT", "9000")
    assert chosen("STORE_PORT", 8000, "the store", count=2) == [
        Port(9000, "STORE_PORT", "the store"),
        Port(9001, "STORE_PORT", "the store"),
    ]


def test_the_last_port_of_a_row_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_PORT", "65535")
    with pytest.raises(ImproperlyConfigured, match="a whole number from 1 to 65534"):
        chosen("STORE_PORT", 8000, "the store", count=2)


def test_free_ports_are_fine() -> None:
    check([Port(free_port(), "PORT", "the site"), Port(free_port(), "FLOWER_PORT", "Flower")], HOST)


def test_a_busy_port_is_named_in_one_line_with_its_variable(busy: int) -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        check([Port(busy, "PORT", "the site")], HOST)
    assert str(error.value) == (
        f"Port {busy} is busy; the site needs it. Stop what listens there, or choose another port with PORT."
    )


def test_two_parts_on_one_port_are_named(busy: int) -> None:
    port = free_port()
    with pytest.raises(
        ImproperlyConfigured, match=rf"PORT \(the site\) and FLOWER_PORT \(Flower\) both lead to port {port}"
    ):
        check([Port(port, "PORT", "the site"), Port(port, "FLOWER_PORT", "Flower")], HOST)


def test_a_connection_that_is_being_closed_does_not_keep_its_port(busy: int) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((HOST, port))
        accepted, _ = server.accept()
        # The side that closes first waits for stray packets, for a minute.
        accepted.close()
        client.close()
    assert not is_taken(port)
