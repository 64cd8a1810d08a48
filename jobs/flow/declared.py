"""The limits that the code declares come into the ledger before a worker claims anything."""

from celery import Celery
from django.db import transaction

from jobs.core.limits import Kind, Limit
from jobs.ledger import rules
from jobs.tasks.limits import declared


def declare(app: Celery) -> None:
    """Write what the tasks known here declare. Rows that somebody has changed stay as they are."""
    with transaction.atomic():
        rules.declare(Kind.TASK, "code", {name: None if limit == Limit() else limit for name, limit in declared(app)})
