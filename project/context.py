"""What every template may use."""

from django.conf import settings
from django.http import HttpRequest

from project import broken_code


def site(request: HttpRequest) -> dict[str, object]:
    """Return the site's name, which of its optional parts there are, and what is wrong with its changed code."""
    return {
        "project": settings.PROJECT_NAME,
        "inbox": bool(settings.INBOX_DIR),
        # Looked for where a template asks for it.
        "broken_code": broken_code.told,
    }
