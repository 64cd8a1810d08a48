"""What tasks logged."""

from django.db import models

from jobs.models.job import Job


class AttemptLog(models.Model):
    """Some lines that one attempt of a job logged, in order of their ids."""

    # Without a constraint, whose check would wait for whoever has locked the job's row; pruned with the job.
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="logs", db_constraint=False, db_index=False)
    #: The attempt's number.
    number = models.IntegerField()
    #: When the first of the lines was logged, by its worker's clock.
    at = models.DateTimeField()
    text = models.TextField()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["job", "id"], name="jobs_attemptlog_of_a_job")]

    def __str__(self) -> str:
        return f"log of attempt {self.number} of {self.job_id}"
