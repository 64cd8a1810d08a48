"""What the engine's tests can ask for besides the fixtures of `tests/conftest.py`."""

from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from jobs.compose import ends
from jobs.enqueue.dispatcher import flush
from jobs.webhooks.subscriptions import snapshot
from tests.servers import WebhookServer


@pytest.fixture(autouse=True)
def no_dispatcher_left() -> Iterator[None]:
    """End the threads that publish and that hear of ends, lest they work on the next test's database."""
    yield
    flush()
    ends.listener.stop()


@pytest.fixture
def receiver(settings: Settings) -> Iterator[WebhookServer]:
    """A receiver of webhooks, in a network that the settings allow."""
    settings.JOBS_WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    with WebhookServer() as server:
        yield server


@pytest.fixture
def nobody_subscribed() -> Iterator[None]:
    """Let no webhook of another test be known, nor one of this test in the next: their rows are rolled back."""
    snapshot.forget()
    yield
    snapshot.forget()
