"""Envelopes as Kombu's virtual transports keep them, read with care: anybody may have written one.

What is no envelope becomes one around it, so that the consumer can park it like any other message it cannot read.
"""

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

from kombu.transport.virtual import Message as VirtualMessage
from kombu.utils.encoding import bytes_to_str

from jobs.core.delivery import portable

#: The content type of what could not be read; nothing decodes it.
UNREADABLE = "application/x-unreadable"


def readable(item: bytes | str, queue: str, loads: Callable[[str], Any] = json.loads) -> dict[str, Any]:
    """Return the envelope in what a broker keeps; one around the item itself where it holds none."""
    try:
        envelope = loads(bytes_to_str(item))
        properties = envelope["properties"]
        if "delivery_tag" in properties and isinstance(properties["delivery_info"], dict):
            properties["delivery_info"].setdefault("routing_key", queue)
            if isinstance(envelope.get("headers") or {}, dict):
                return dict(envelope)
    except Exception:  # noqa: BLE001 (anybody may have written it: whatever is wrong with it, it is kept)
        pass
    return around(item, queue)


def around(item: bytes | str, queue: str) -> dict[str, Any]:
    """Return an envelope with the item as its body."""
    raw = item if isinstance(item, bytes) else item.encode("utf-8", "surrogateescape")
    return {
        "body": base64.b64encode(raw).decode(),
        "content-type": UNREADABLE,
        "content-encoding": "binary",
        "headers": {},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }


class Message(VirtualMessage):
    """A message whose body may turn out to be undecodable."""

    def __init__(self, payload: dict[str, Any], channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
        except Exception:  # noqa: BLE001 (as above)
            queue = str(payload["properties"]["delivery_info"]["routing_key"])
            super().__init__(around(json.dumps(portable(payload), default=str), queue), channel=channel, **kwargs)
