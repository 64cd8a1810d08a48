"""Alerts by HTTP: to Slack and what understands its webhooks, and signed ones to anybody else."""

import json

from jobs.alerts.messages import AlertMessage
from jobs.webhooks.client import post, post_signed

#: Slack's own limit of a text, in characters (https://api.slack.com/reference/messaging/payload).
_MOST_TEXT = 3_000


def send_to_slack(url: str, message: AlertMessage) -> None:
    """Post a message as Slack's incoming webhooks take it. Raises WebhookError where it was not taken."""
    text = f"{_escaped(message.title[:_MOST_TEXT])}\n<{message.url.replace('|', '%7C').replace('>', '%3E')}|Look there>"
    post(url, json.dumps({"text": text}).encode(), {})


def send_signed(url: str, secret: str, message: AlertMessage) -> None:
    """Post a message as JSON with its signature. Raises WebhookError where it was not taken."""
    post_signed(url, secret, message.key, json.dumps(message.as_json()).encode())


def _escaped(text: str) -> str:
    """Return a text that Slack shows as it is: these three begin its links and mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
