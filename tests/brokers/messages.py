"""Messages of jobs that are in no ledger."""

from uuid_utils.compat import uuid7

from jobs.enqueue.message import Outgoing, outgoing
from jobs.ledger.enqueue import NewJob


def message(number: int, priority: int = 5) -> Outgoing:
    """Return the message of a job."""
    return outgoing(
        NewJob(
            id=uuid7(),
            task="tests.tasks_app.tasks.note",
            queue="default",
            args=f'["{number}"]',
            kwargs="{}",
            options=None,
            priority=priority,
            max_retries=None,
        )
    )
