"""The ways in which a target can be told; other apps add theirs."""

from collections.abc import Callable

from jobs.alerts.messages import AlertMessage

#: Hands a message over to an address, or enqueues the job that will.
Channel = Callable[[str, AlertMessage], None]

_channels: dict[str, Channel] = {}


def register_alert_channel(kind: str, channel: Channel) -> None:
    """Have alerts to targets of a kind handed to `channel`. Called in an AppConfig's `ready`.

    The channel may be called again with the same message, whose `key` says so, where a worker died before it could note
    that the target was told. It raises an error with `permanent=` where the message is not taken.
    """
    _channels[kind] = channel


def channel_of(kind: str) -> Channel | None:
    """Return the way in which targets of a kind are told, where an app has registered one."""
    return _channels.get(kind)
