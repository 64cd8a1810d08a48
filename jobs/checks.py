"""What is wrong with the engine's settings, said at start and by `manage.py check`."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning as Warned, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError

from jobs.conf import brokers, conf, queue_limits, queue_weights
from jobs.core.queue_names import RULE, is_queue_name
from jobs.schedules import entries
from jobs.schedules.encryption import stands_in_clear
from jobs.tasks import encryption
from jobs.tasks.limits import why_ambiguous


@register("jobs")
def check_settings(**_: Any) -> list[CheckMessage]:
    """Report settings that the engine cannot use."""
    try:
        conf()
        brokers()
        queue_weights()
    except ImproperlyConfigured as exc:
        return [Error(str(exc), hint="See the settings table in docs/settings.md.", id="jobs.E001")]
    return []


@register("jobs")
def check_encryption(**_: Any) -> list[CheckMessage]:
    """Report keys that are none, and tasks that encrypt without one: each call of theirs would be refused."""
    try:
        has_keys = encryption.has_keys()
    except ImproperlyConfigured as exc:
        return [Error(str(exc), hint="See the settings table in docs/settings.md.", id="jobs.E001")]
    tasks = [] if has_keys else encryption.declared()
    return [
        Error(
            f"{name} encrypts its arguments (encrypt=True), and JOBS_ENCRYPTION_KEYS holds no key.",
            hint="See docs/how-to/rotate-keys.md.",
            id="jobs.E006",
        )
        for name in tasks
    ]


@register("jobs", Tags.database)
def check_schedules(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report schedules that were written past `save`, with arguments that their task encrypts."""
    if DEFAULT_DB_ALIAS not in (databases or ()):
        return []
    try:
        found = [entry.row for entry in entries() if entry.is_loaded and stands_in_clear(entry.row)]
    except DatabaseError:
        # The first `migrate` is about to make the table.
        return []
    return [
        Warned(
            f"Schedule {row.name!r} holds arguments in clear, and {row.task} encrypts them (encrypt=True).",
            hint="`manage.py jobs reencrypt` encrypts them.",
            id="jobs.W001",
        )
        for row in found
    ]


@register("jobs")
def check_queues(**_: Any) -> list[CheckMessage]:
    """Report queues of Celery's settings that bear a name of the engine's own."""
    named = {
        "CELERY_TASK_DEFAULT_QUEUE": [getattr(settings, "CELERY_TASK_DEFAULT_QUEUE", None)],
        "CELERY_TASK_QUEUES": getattr(settings, "CELERY_TASK_QUEUES", None) or [],
    }
    return [
        Error(f"{setting} names a queue {name!r}, which is not valid: it must be {RULE}.", id="jobs.E003")
        for setting, queues in named.items()
        for queue in queues
        if (name := getattr(queue, "name", queue)) is not None and not is_queue_name(name)
    ]


@register("jobs")
def check_limits(**_: Any) -> list[CheckMessage]:
    """Report limits that cannot hold."""
    try:
        queue_limits()
    except ImproperlyConfigured as exc:
        return [Error(str(exc), hint="See the settings table in docs/settings.md.", id="jobs.E004")]
    why = why_ambiguous()
    return [Error(why, id="jobs.E005")] if why else []


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
