"""What the tests of alerts can ask for: what leads to a receiver, and who looks."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from jobs.models import AlertTarget
from jobs.webhooks.signing import new_secret
from tests.jobs import people
from tests.servers import WebhookServer

Make = Callable[..., AlertTarget]


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
