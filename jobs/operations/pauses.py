"""What a pause says: since when, until when, by whom and why; the same for queues, tasks, keys and tenants."""

from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from jobs.errors import InvalidRule

#: What a row says that is not paused.
NO_PAUSE: Final[dict[str, Any]] = {"paused_at": None, "paused_until": None, "paused_by": "", "pause_reason": ""}

#: The longest reason.
REASON_LENGTH = 200


def pause_of(actor: str, reason: str, until: datetime | None) -> dict[str, Any]:
    """Return what a row says that is paused now.

    Raises:
        InvalidRule: the end is past, or the reason too long or none that a database holds.
    """
    now = timezone.now()
    if until is not None and until <= now:
        raise InvalidRule(f"until={until:%Y-%m-%d %H:%M:%S %Z} is not valid: a pause ends at a time to come.")
    if len(reason) > REASON_LENGTH or "\x00" in reason:
        raise InvalidRule(
            f"The reason of a pause has at most {REASON_LENGTH} characters, none of them NUL; this has {len(reason)}."
        )
    return {"paused_at": now, "paused_until": until, "paused_by": actor, "pause_reason": reason}


def told(reason: str, until: datetime | None) -> dict[str, str]:
    """Return of a pause what its record says besides."""
    said = {"reason": reason, "until": "" if until is None else until.isoformat()}
    return {name: value for name, value in said.items() if value}
