"""Who works, what runs by schedule, and what operators and clients may do and have done."""

from django.db import models
from django.db.models.functions import Now

from jobs.models.job import Job


class Queue(models.Model):
    """What an operator has said of a queue. A queue nobody said anything about has no row."""

    name = models.CharField(max_length=100, primary_key=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=254, db_default="")

    def __str__(self) -> str:
        return self.name


class Worker(models.Model):
    """A worker process, as it last said of itself. One that died goes silent; one that stopped says so."""

    id = models.UUIDField(primary_key=True, editable=False)
    #: Its node name; nothing keeps two workers from having the same one.
    name = models.CharField(max_length=255)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    queues = models.JSONField()
    pool = models.CharField(max_length=40)
    concurrency = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    running = models.IntegerField(db_default=0)
    memory_bytes = models.BigIntegerField(db_default=0)
    #: For each connection its state, and how often it was tried.
    connections = models.JSONField(default=dict)
    #: What it has counted since its start, by name; what the ledger's own rows do not tell.
    counters = models.JSONField(default=dict)

    class Meta:
        ordering = ["name", "started_at"]

    def __str__(self) -> str:
        return self.name


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


class ApiToken(models.Model):
    """A client's key to the API. Only its hash is kept."""

    name = models.CharField(max_length=100)
    #: SHA-256 of the token, which has 256 random bits: nothing slower is needed.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    #: The first signs of the token, to recognise it by.
    prefix = models.CharField(max_length=12, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=254, db_default="")
    last_used_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class OperatorAction(models.Model):
    """Who did what to which jobs, when, and to how many."""

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=254)
    action = models.CharField(max_length=40)
    #: The job, queue, dead letter or schedule concerned, or the filter that chose many.
    target = models.JSONField()
    count = models.IntegerField(db_default=1)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["-at"], name="jobs_operatoraction_newest")]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"
