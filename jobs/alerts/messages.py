"""What is told: one sentence, since when, and where to look. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Event(StrEnum):
    """What a message tells of."""

    RAISED = "alert.raised"
    RESOLVED = "alert.resolved"
    TEST = "alert.test"


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """One message to one target.

    Attributes:
        key: names the message; the same for every attempt to deliver it.
        site: the name of the site it comes from.
        cause: what is wrong with what, in words that stay the same.
        text: what is wrong, as a sentence.
        url: the page that shows it.
        opened_at, resolved_at: when it began, and ended.
    """

    key: str
    event: Event
    site: str
    cause: str
    text: str
    url: str
    opened_at: datetime
    resolved_at: datetime | None = None

    @property
    def title(self) -> str:
        """The whole in one line."""
        before = {Event.RAISED: "", Event.RESOLVED: "Resolved: ", Event.TEST: "Test: "}[self.event]
        return f"{self.site}: {before}{self.text}{self._span}"

    @property
    def _span(self) -> str:
        """From when until when it was so, where it is over: the sentence is of the time when it was seen last."""
        if self.resolved_at is None:
            return ""
        begun, ended = self.opened_at.astimezone(UTC), self.resolved_at.astimezone(UTC)
        day = "" if begun.date() == ended.date() else "%d %b "
        return f" ({begun:%d %b %H:%M} to {ended:{day}%H:%M} UTC)"

    def as_json(self) -> dict[str, Any]:
        """Return it as a webhook gets it: type, time and data, as Standard Webhooks has them."""
        return {
            "type": self.event.value,
            "timestamp": (self.resolved_at or self.opened_at).isoformat(),
            "data": {
                "site": self.site,
                "cause": self.cause,
                "text": self.text,
                "url": self.url,
                "opened_at": self.opened_at.isoformat(),
                "resolved_at": self.resolved_at.isoformat() if self.resolved_at else None,
            },
        }
