"""The ledger's tables. Fields, constraints and indexes; every change of `Job.state` is made in `jobs.ledger`."""

import uuid

from django.db import models
from django.db.models.functions import Now

from jobs.core.states import FINAL, WAITING, State


class Job(models.Model):
    """One request to run a task. Its id is the Celery task id."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.CharField(max_length=200)
    queue = models.CharField(max_length=100)
    state = models.CharField(max_length=9, choices=[(state.value, state.value) for state in State])
    args = models.JSONField()
    kwargs = models.JSONField()
    #: What else travels in the message: headers, links, chain, time limits. Null where there is nothing.
    options = models.JSONField(null=True)
    priority = models.SmallIntegerField(db_default=5)
    #: Attempts begun, over all replays.
    attempt = models.IntegerField(db_default=0)
    #: Attempts that a replay has written off; retries are counted from here.
    attempt_base = models.IntegerField(db_default=0)
    max_retries = models.IntegerField(null=True)
    worker_losses = models.SmallIntegerField(db_default=0)

    created_at = models.DateTimeField(db_default=Now())
    run_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    #: When the broker last confirmed its message; null while there is none.
    dispatched_at = models.DateTimeField(null=True)
    #: When the latest attempt began.
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    #: One delivery's right to run the job; a result that shows another one is refused.
    lease_id = models.CharField(max_length=32, null=True)
    lease_expires_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=255, db_default="")

    #: The latest error as `Type: message`, shortened.
    last_error = models.TextField(db_default="")
    correlation_id = models.CharField(max_length=64, db_default="")
    parent_id = models.UUIDField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=sorted(State)),
                name="jobs_job_state_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=sorted(FINAL), finished_at__isnull=False)
                | (~models.Q(state__in=sorted(FINAL)) & models.Q(finished_at__isnull=True)),
                name="jobs_job_finished_at_iff_final",
            ),
            models.CheckConstraint(
                condition=models.Q(state=State.RUNNING, lease_id__isnull=False, lease_expires_at__isnull=False)
                | (~models.Q(state=State.RUNNING) & models.Q(lease_id__isnull=True, lease_expires_at__isnull=True)),
                name="jobs_job_lease_iff_running",
            ),
            models.CheckConstraint(
                condition=models.Q(priority__gte=0, priority__lte=9), name="jobs_job_priority_in_range"
            ),
        ]
        indexes = [
            models.Index(fields=["run_at"], condition=models.Q(state__in=sorted(WAITING)), name="jobs_job_due"),
            models.Index(
                fields=["queue", "dispatched_at"], condition=models.Q(state=State.QUEUED), name="jobs_job_queued"
            ),
            models.Index(
                fields=["lease_expires_at"], condition=models.Q(state=State.RUNNING), name="jobs_job_leases"
            ),
            models.Index(fields=["-created_at", "-id"], name="jobs_job_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.id}]"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended: succeeded, dead or cancelled."""
        return self.state in FINAL


class Attempt(models.Model):
    """One execution of a job that did not succeed, with all that explains it.

    An attempt that succeeded needs no row: the job itself holds its times and worker.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.IntegerField()
    #: What became of the job: the state it went to, or `refused` for a result that came after the lease was lost.
    outcome = models.CharField(max_length=9)
    error_type = models.CharField(max_length=200)
    error = models.TextField()
    traceback = models.TextField(db_default="")
    worker = models.CharField(max_length=255, db_default="")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["job_id", "number", "id"]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_id}"
