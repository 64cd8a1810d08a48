"""The limits that code and settings declare come into the ledger before a worker claims anything."""

from celery import Celery
from django.db import transaction

from jobs.conf import queue_limits
from jobs.core.limits import Kind, Limit
from jobs.ledger import rules
from jobs.tasks.limits import declared


def declare(app: Celery) -> None:
    """Write what the tasks known here and JOBS_LIMITS declare. Rows that somebody has changed stay as they are."""
    of_queues = queue_limits()
    with transaction.atomic():
        queues = {*app.amqp.queues, *of_queues}
        rules.declare(Kind.QUEUE, "setting", {name: of_queues.get(name) for name in queues})
        rules.declare(Kind.TASK, "code", {name: None if limit == Limit() else limit for name, limit in declared(app)})
