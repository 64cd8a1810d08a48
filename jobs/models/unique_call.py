"""Calls that found a unique job there, and relied on it."""

from django.db import models
from django.db.models.functions import Now

from jobs.models.job import Job


class UniqueCall(models.Model):
    """A call that enqueued no job of its own, since one with its unique key was there.

    A row and not a number in the job's: of two callers who add to one row, the second waits for the first one's commit.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="unique_calls")
    called_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"a call of {self.called_at} that relies on {self.job_id}"
