"""What the app reads from Django's settings, checked where it is used."""

import re
from dataclasses import dataclass, field

from django.conf import settings

from notify.errors import NotifyError

#: The token becomes a part of each request's path, so nothing may stand in it that would lead elsewhere.
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}")


@dataclass(frozen=True, slots=True)
class TelegramConf:
    """A bot, and where its API is.

    Attributes:
        token: of the bot, never shown: whoever has it is the bot.
        url: scheme and host of the API.
        seconds: how long it may take to accept a connection, and for each answer.
    """

    token: str = field(repr=False)
    url: str = "https://api.telegram.org"
    seconds: float = 10.0


def telegram_conf() -> TelegramConf:
    """Return the configured bot. Raises a permanent NotifyError where there is none."""
    problem = telegram_problem()
    if not settings.TELEGRAM_BOT_TOKEN:
        problem = "No Telegram bot is configured: set TELEGRAM_BOT_TOKEN."
    if problem:
        raise NotifyError(f"{problem} Restart the workers, then replay this job.", permanent=True)
    return TelegramConf(settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_API_URL)


def telegram_problem() -> str:
    """Return what is wrong with the settings and what to set, or an empty text. Without a token nothing is."""
    token: str = settings.TELEGRAM_BOT_TOKEN
    if token and not _TOKEN.fullmatch(token):
        return "TELEGRAM_BOT_TOKEN (secret) is not valid: it must be what @BotFather gave, such as 123456:ABC-DEF…"
    return ""
