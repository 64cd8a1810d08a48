"""Signatures of webhooks, as Standard Webhooks has them (https://www.standardwebhooks.com); libraries verify them.

`docs/alerts.md` shows a receiver how.
"""

import base64
import hashlib
import hmac
import secrets

#: Begins every secret, so that scanners of leaked secrets can tell one.
MARK = "whsec_"


def new_secret() -> str:
    """Return a new secret of 256 random bits."""
    return MARK + base64.b64encode(secrets.token_bytes(32)).decode()


def headers(secret: str, key: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a message.

    Args:
        secret: of the receiver.
        key: names the message: a receiver that has seen it ignores it.
        timestamp: of this attempt, in seconds since 1970: a receiver refuses what is old.
        body: what is sent.
    """
    signed = f"{key}.{timestamp}.".encode() + body
    digest = hmac.new(base64.b64decode(secret.removeprefix(MARK)), signed, hashlib.sha256).digest()
    return {
        "webhook-id": key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
