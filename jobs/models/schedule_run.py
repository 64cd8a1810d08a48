"""When schedules fired, and what they enqueued."""

from django.db import models
from django.db.models.functions import Now

from jobs.models.job import Job


class ScheduleRun(models.Model):
    """One firing of a schedule. No two are for the same time: that makes two Beats safe."""

    schedule = models.ForeignKey("django_celery_beat.PeriodicTask", on_delete=models.CASCADE, related_name="runs")
    due_at = models.DateTimeField()
    fired_at = models.DateTimeField(db_default=Now())
    #: Null where its task is no job, or the job was refused.
    job_id = models.UUIDField(null=True)
    #: Who asked for it; empty for a regular run.
    asked_by = models.CharField(max_length=254, db_default="")

    class Meta:
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["schedule", "due_at"], name="jobs_schedulerun_once")]

    def __str__(self) -> str:
        return f"{self.schedule_id} at {self.due_at:%Y-%m-%d %H:%M:%S}"

    @property
    def job(self) -> "Job | None":
        """The job it enqueued, as long as the ledger keeps it."""
        return None if self.job_id is None else Job.objects.filter(pk=self.job_id).first()
