"""What a job's task has done and need not do again. Written by `jobs.ledger.steps`, under the job's lease."""

from django.db import models

from jobs.models.job import Job


class Step(models.Model):
    """A step with its result, or a loop with the place it has come to."""

    # The unique constraint has the index.
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="steps", db_index=False)
    #: Its place among the job's steps, from 1, in the order in which they were first saved.
    number = models.IntegerField()
    name = models.CharField(max_length=100)
    #: The attempt that saved it last.
    attempt = models.IntegerField()
    #: What the step returned; of a loop the cursor of the last row that is done.
    value = models.JSONField(null=True)
    #: How many rows of a loop are done; null for a step that is none.
    rows_done = models.IntegerField(null=True)
    #: False for a loop that has rows left.
    is_complete = models.BooleanField()
    #: When the attempt that saved it last began it.
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ["job_id", "number", "id"]
        constraints = [models.UniqueConstraint(fields=["job", "name"], name="jobs_step_of_a_job")]

    def __str__(self) -> str:
        return f"step {self.number} of {self.job_id}: {self.name}"
