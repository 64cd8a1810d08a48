"""What the tests of alerts can ask for: a receiver, and what leads to it."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from jobs.models import AlertTarget
from jobs.webhooks.signing import new_secret
from tests.jobs import people
from tests.servers import WebhookServer

Make = Callable[..., AlertTarget]


@pytest.fixture
def receiver(settings: Settings) -> Iterator[WebhookServer]:
    """A receiver in a network that the settings allow."""
    settings.JOBS_WEBHOOK_NETWORKS = (ip_network("127.0.0.0/8"),)
    with WebhookServer() as server:
        yield server


@pytest.fixture
def target(db: None, receiver: WebhookServer) -> Make:
    """Make a target; without more words a signed webhook at the receiver."""

    def make(kind: str = "webhook", **changes: Any) -> AlertTarget:
        secret = new_secret() if kind == "webhook" else ""
        return AlertTarget.objects.create(
            **{"name": f"the {kind}", "kind": kind, "address": receiver.url, "secret": secret, **changes}
        )

    return make


@pytest.fixture
def operator(db: None) -> Client:
    """Someone who may look at jobs."""
    return people.operator()
