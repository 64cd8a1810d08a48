"""What every template may use."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    """Return the site's name, and which of its optional parts there are."""
    return {"project": settings.PROJECT_NAME, "inbox": bool(settings.INBOX_DIR)}
