"""The job of this app."""

from jobs import Permanent, Snooze, job
from notify import telegram
from notify.conf import telegram_conf
from notify.errors import NotifyError, TooSoon

#: The longest text of one message (https://core.telegram.org/bots/api#sendmessage).
MAX_TEXT = 4096


@job(name="notify.telegram", max_retries=10, retry_backoff_max=600)
def send_telegram(chat: int | str, text: str) -> str:
    """Send a text to a chat: a person's or group's id, or `@name` of a public channel; return which message it became.

    The bot's token is a setting, and never an argument: arguments are kept, shown and sent through the broker.
    Telegram knows no key by which it could tell a repetition: a worker killed between the sending and its record
    sends twice.
    """
    if not text.strip() or len(text) > MAX_TEXT:
        raise Permanent(f"A message has 1 to {MAX_TEXT} characters, not blanks alone; this one has {len(text)}.")
    try:
        return f"message {telegram.send(telegram_conf(), chat, text)} to {chat}"
    except TooSoon as exc:
        raise Snooze(exc.seconds, str(exc)) from exc
    except NotifyError as exc:
        if exc.permanent:
            raise Permanent(str(exc)) from exc
        raise
