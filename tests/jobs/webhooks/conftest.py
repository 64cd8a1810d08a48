"""What the tests of webhooks can ask for."""

from collections.abc import Callable
from typing import Any

import pytest

from jobs.models import Webhook
from jobs.operations import webhooks
from tests.servers import WebhookServer

Make = Callable[..., Webhook]


@pytest.fixture
def webhook(db: None, nobody_subscribed: None, receiver: WebhookServer) -> Make:
    """Make a webhook at the receiver; without more words it is told of all that happens."""

    def make(**given: Any) -> Webhook:
        states = ["succeeded", "dead", "cancelled", "retrying"]
        return webhooks.create({"name": "crm", "url": receiver.url, "states": states, **given}, actor="bob")

    return make
