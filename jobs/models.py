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
    #: When the broker last confirmed its message, or a worker last fetched it through `ledger://`; null before.
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
    #: The job of whose dead letter this one is a corrected copy.
    replay_of = models.UUIDField(null=True)
    #: Held by a job that waits to begin; a second job with the same key is not enqueued meanwhile.
    unique_key = models.CharField(max_length=200, null=True)
    #: What the task last said of its progress: `{"done": …, "total": …, "message": …}`.
    progress = models.JSONField(null=True)
    #: When an operator asked a running job to stop.
    cancel_requested_at = models.DateTimeField(null=True)
    #: When the state last changed; live events are read in this order.
    changed_at = models.DateTimeField(db_default=Now())

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
            models.UniqueConstraint(
                fields=["unique_key"], condition=models.Q(unique_key__isnull=False), name="jobs_job_unique_key"
            ),
        ]
        indexes = [
            models.Index(fields=["run_at"], condition=models.Q(state__in=sorted(WAITING)), name="jobs_job_due"),
            models.Index(
                fields=["queue", "dispatched_at"], condition=models.Q(state=State.QUEUED), name="jobs_job_queued"
            ),
            # The order in which `ledger://` hands jobs out. Its condition on the state is one that no other index
            # has: else PostgreSQL would take one of those, which it may believe to be empty, and sort all of it.
            models.Index(
                fields=["queue", "-priority", "run_at", "id"],
                condition=models.Q(state__gte=State.QUEUED, state__lte=State.QUEUED, dispatched_at__isnull=True),
                name="jobs_job_waiting",
            ),
            models.Index(fields=["lease_expires_at"], condition=models.Q(state=State.RUNNING), name="jobs_job_leases"),
            models.Index(fields=["-created_at", "-id"], name="jobs_job_newest"),
            models.Index(fields=["changed_at", "id"], name="jobs_job_changes"),
            models.Index(fields=["parent_id"], condition=models.Q(parent_id__isnull=False), name="jobs_job_children"),
            # What people look for: the few that did not end well or failed on the way, and all that belongs together.
            models.Index(
                fields=["state", "-created_at", "-id"],
                condition=models.Q(state__in=sorted({State.DEAD, State.CANCELLED})),
                name="jobs_job_unlucky",
            ),
            models.Index(fields=["-created_at", "-id"], condition=models.Q(last_error__gt=""), name="jobs_job_failed"),
            models.Index(
                fields=["correlation_id"], condition=models.Q(correlation_id__gt=""), name="jobs_job_correlation"
            ),
        ]
        permissions = [("operate_job", "Can retry, cancel, replay and discard jobs, and pause queues")]

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
        indexes = [models.Index(fields=["finished_at"], name="jobs_attempt_ended")]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_id}"


class DeadLetter(models.Model):
    """What is kept of a job that gave up, or of a message that nobody could read.

    It comes from the dead-letter queue of the broker, moved here by the archiver. Its id is made where the letter
    is, so that archiving it twice changes nothing.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="dead_letters")
    #: Empty where the message did not even say.
    task = models.CharField(max_length=200, db_default="")
    #: Where the message had been; its dead-letter queue is `<queue>.dead`.
    queue = models.CharField(max_length=255)
    exchange = models.CharField(max_length=255, db_default="")
    routing_key = models.CharField(max_length=255, db_default="")
    reason = models.CharField(max_length=20)
    error = models.TextField(db_default="")
    attempt = models.IntegerField(db_default=0)
    correlation_id = models.CharField(max_length=64, db_default="")
    failed_at = models.DateTimeField()
    archived_at = models.DateTimeField(db_default=Now())

    #: The message as it was.
    body = models.BinaryField()
    content_type = models.CharField(max_length=200, db_default="")
    content_encoding = models.CharField(max_length=100, db_default="")
    headers = models.JSONField()
    properties = models.JSONField()
    #: The arguments, where they can be read.
    args = models.JSONField(null=True)
    kwargs = models.JSONField(null=True)

    replayed_at = models.DateTimeField(null=True)
    #: The job that the replay put into a queue: the same one, or a new one where the arguments were corrected.
    replay_job_id = models.UUIDField(null=True)
    discarded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-failed_at", "-id"]
        indexes = [
            models.Index(fields=["-failed_at", "-id"], name="jobs_deadletter_newest"),
            models.Index(fields=["task", "reason"], name="jobs_deadletter_groups"),
            models.Index(fields=["archived_at"], name="jobs_deadletter_archived"),
        ]

    def __str__(self) -> str:
        return f"{self.task or 'unreadable message'} on {self.queue}: {self.reason}"

    @property
    def is_open(self) -> bool:
        """Whether nobody has replayed or discarded it yet."""
        return self.replayed_at is None and self.discarded_at is None


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


class Tally(models.Model):
    """What has been counted since counting began: the metrics must not fall when old rows are forgotten."""

    #: What is counted: the name of the metric without its unit.
    metric = models.CharField(max_length=40)
    task = models.CharField(max_length=200)
    queue = models.CharField(max_length=255)
    #: What became of it: a state, an outcome or a reason; empty where the metric has none.
    outcome = models.CharField(max_length=20, db_default="")
    count = models.BigIntegerField(db_default=0)
    seconds = models.FloatField(db_default=0.0)
    #: For durations: how many were at most as long as each bound of `jobs.reports.tallies`.
    buckets = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["metric", "task", "queue", "outcome"], name="jobs_tally_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.task} {self.queue} {self.outcome}: {self.count}"


class TallyMark(models.Model):
    """Up to when everything has been counted. One row, which is the lock of whoever counts on."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"counted until {self.until}"


class BrokerMessage(models.Model):
    """What `ledger://` carries besides jobs: plain tasks, dead letters, remote control and events.

    A message to a queue is delivered under a lease and deleted when it is settled. One to an exchange without a
    durable queue (remote control, its replies, events) is a broadcast: read by whoever listens, and soon pruned.
    """

    id = models.BigAutoField(primary_key=True)
    #: Null for a broadcast.
    queue = models.CharField(max_length=255, null=True)
    exchange = models.CharField(max_length=255, db_default="")
    routing_key = models.CharField(max_length=255, db_default="")
    priority = models.SmallIntegerField(db_default=0)
    #: Kombu's envelope as JSON.
    envelope = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    #: Until when a consumer has it; then it is delivered again.
    taken_until = models.DateTimeField(null=True)
    deliveries = models.IntegerField(db_default=0)

    class Meta:
        indexes = [
            models.Index(
                fields=["queue", "-priority", "id"],
                condition=models.Q(queue__isnull=False),
                name="jobs_brokermessage_waiting",
            ),
            models.Index(
                fields=["created_at"],
                condition=models.Q(queue__isnull=True),
                name="jobs_brokermessage_broadcast",
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.id} to {self.queue or self.exchange}"
