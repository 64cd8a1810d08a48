"""Hands messages to Telegram (https://core.telegram.org/bots/api#sendmessage). It tries once.

`http.client` follows no redirection, asks no proxy and logs nothing: the token stands in every request's path, and goes
to the one host of the settings. For the same reason none of its errors is chained to ours.
"""

import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from notify.conf import TelegramConf
from notify.errors import NotifyError, TooSoon

#: The longest answer that is read, in bytes; Telegram's have some hundred.
MAX_ANSWER = 100_000

#: The longest pause that is kept to, in seconds.
LONGEST_PAUSE = 86_400

#: What says that the token is wrong.
_TOKEN_REFUSED = frozenset({401, 404})


def send(conf: TelegramConf, chat: int | str, text: str) -> int:
    """Send a plain text to a chat and return the message's id.

    Raises:
        TooSoon: there were too many; it says for how long to wait.
        NotifyError: permanent where Telegram refused for good (4xx), else retryable.
    """
    status, body = _ask(conf, json.dumps({"chat_id": chat, "text": text}))
    try:
        answer = json.loads(body)
        if answer["ok"] is True:
            return int(answer["result"]["message_id"])
    except (ValueError, TypeError, KeyError):
        answer = {}
    raise _refusal(status, answer, chat)


def _ask(conf: TelegramConf, body: str) -> tuple[int, bytes]:
    """Return status and body of the answer. Raises NotifyError where there is none."""
    parts = urlsplit(conf.url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=conf.seconds)
    try:
        connection.request("POST", f"/bot{conf.token}/sendMessage", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER)
    except TimeoutError:
        raise NotifyError(f"Telegram at {conf.url} did not answer within {conf.seconds:g} s.") from None
    except (OSError, UnicodeError) as exc:
        raise NotifyError(f"Telegram at {conf.url} is out of reach: {exc}.") from None
    except HTTPException as exc:
        raise NotifyError(f"Telegram at {conf.url} broke off: {type(exc).__name__}.") from None
    finally:
        connection.close()


def _refusal(status: int, answer: dict[str, Any], chat: int | str) -> NotifyError:
    said = f"{status} {str(answer.get('description', 'no answer of the bot API'))[:300]}"
    details = answer.get("parameters")
    details = details if isinstance(details, dict) else {}
    if status == 429:
        return TooSoon(f"Telegram takes no more for now: {said}.", _pause(details.get("retry_after")))
    if status in _TOKEN_REFUSED:
        return NotifyError(f"Telegram does not know the bot: {said}. Check TELEGRAM_BOT_TOKEN.", permanent=True)
    if "migrate_to_chat_id" in details:
        moved = f"The chat {chat} has moved to {details['migrate_to_chat_id']}: use that id from now on."
        return NotifyError(moved, permanent=True)
    return NotifyError(f"Telegram did not take the message to {chat}: {said}.", permanent=400 <= status < 500)


def _pause(said: object) -> int:
    """Return for how many seconds to wait. Where Telegram does not say, half a minute: its limits are by minute."""
    return min(max(said, 1), LONGEST_PAUSE) if type(said) is int else 30
