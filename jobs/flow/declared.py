"""The limits that code and settings declare come into the ledger before a worker claims anything."""

from celery import Celery
from django.db import transaction

from jobs.conf import queue_limits
from jobs.core.limits import Kind, Limit
from jobs.ledger import renames, rules
from jobs.tasks.limits import declared


def declare(app: Celery) -> None:
    """Write what the tasks known here and JOBS_LIMITS declare. Rows that somebody has changed stay as they are.

    Of a task that was renamed, what was said of an old name is said of the present one from then on.
    """
    of_queues = queue_limits()
    limits = dict(declared(app))
    former = {name: app.tasks[name].name for name in limits if app.tasks[name].name != name}
    own = limits.keys() - former.keys()
    of_tasks = {name: limit if name in own and limit != Limit() else None for name, limit in limits.items()}
    with transaction.atomic():
        queues = {*app.amqp.queues, *of_queues}
        rules.declare(Kind.QUEUE, "setting", {name: of_queues.get(name) for name in queues})
        rules.declare(Kind.TASK, "code", of_tasks)
        renames.note(former, own)
