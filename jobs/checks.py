"""What is wrong with the engine's settings, said at start and by `manage.py check`."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from jobs.conf import conf


@register("jobs")
def check_settings(**_: Any) -> list[CheckMessage]:
    """Report settings that the engine cannot use."""
    try:
        conf()
    except ImproperlyConfigured as exc:
        return [Error(str(exc), hint="See the settings table in docs/settings.md.", id="jobs.E001")]
    return []


@register("jobs")
def check_database(**_: Any) -> list[CheckMessage]:
    """Report a database on which the ledger's statements do not run."""
    engine = settings.DATABASES["default"]["ENGINE"]
    if engine.rsplit(".", 1)[-1] in {"postgresql", "sqlite3"}:
        return []
    return [
        Error(
            f"The ledger cannot be kept in {engine}.",
            hint="DATABASE_URL must name PostgreSQL (postgresql://) or SQLite (sqlite:///).",
            id="jobs.E002",
        )
    ]
