"""What these tests can ask for besides the fixtures of `tests/conftest.py`."""

from collections.abc import Iterator

import pytest

from mail.client import disconnect
from tests.cast import alice, bob, carol

__all__ = ["alice", "bob", "carol"]


@pytest.fixture(autouse=True)
def no_connection_left() -> Iterator[None]:
    """Let each test begin without a connection of the last one."""
    disconnect()
    yield
    disconnect()
