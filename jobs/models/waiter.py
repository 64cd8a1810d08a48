"""Who waits for the end of a job, so that he is told of it. PostgreSQL; written by `jobs.ledger.waiters`."""

from django.db import models
from django.db.models.functions import Now


class Waiter(models.Model):
    """A process that waits for a job: the statement that records the job's end notifies it."""

    #: No reference: a chord's body is waited for before it is enqueued.
    job_id = models.UUIDField(db_index=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "jobs_waiter"

    def __str__(self) -> str:
        return f"waiter for {self.job_id}"
