"""What these tests can ask for besides the fixtures of `tests/conftest.py`."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from mail.client import disconnect
from tests.accounts.clock import Clock
from tests.accounts.mailbox import Mailbox
from tests.cast import alice, bob, carol
from tests.servers import SmtpServer, Valkey

__all__ = ["alice", "bob", "carol"]


@pytest.fixture(autouse=True)
def _attempts_are_counted_from_zero(valkey: Valkey) -> None:
    """The cache is in it."""


@pytest.fixture(autouse=True)
def _passwords_are_hashed_quickly(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def mailbox(db: None, smtp: SmtpServer) -> Iterator[Mailbox]:
    """Where all mail of the site arrives."""
    disconnect()
    yield Mailbox(smtp)
    disconnect()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that can be set forward."""
    return Clock(monkeypatch)
