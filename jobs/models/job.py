"""Jobs and their attempts. Every change of `Job.state` is made in `jobs.ledger`."""

import uuid

from django.db import models
from django.db.models.functions import Now

from jobs.core.held_by import FOR_NEWER_CODE, HeldBy
from jobs.core.states import AFTER_QUEUED, FINAL, WAITING, State


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
    #: It must not begin after this time.
    expires_at = models.DateTimeField(null=True)
    #: Its last attempt must have ended by this time: what runs then is ended, and no attempt is put off beyond it.
    deadline_at = models.DateTimeField(null=True)
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
    #: The group that it belongs to, and its place there; without a place it only leads to a member.
    group_id = models.UUIDField(null=True)
    group_index = models.IntegerField(null=True)
    #: The job whose result is this one's, since the task said `self.replace()`.
    replaced_by = models.UUIDField(null=True)
    #: The job of whose dead letter this one is a corrected copy.
    replay_of = models.UUIDField(null=True)
    #: While a job holds it, a second one with the same key is not enqueued: until it begins, or as the next two say.
    unique_key = models.CharField(max_length=200, null=True)
    #: `done` where it is held until the job has ended; null where until it begins.
    unique_until = models.CharField(max_length=5, null=True)
    #: Until when it is held in any case, unless the job gives up; null where there is no such time.
    unique_expires_at = models.DateTimeField(null=True)
    #: What the task last said of its progress: `{"done": …, "total": …, "message": …}`.
    progress = models.JSONField(null=True)
    #: What the task returned, of a task whose results are kept; it counts where the job has succeeded.
    result = models.JSONField(null=True)
    #: When an operator asked a running job to stop.
    cancel_requested_at = models.DateTimeField(null=True)
    #: Why it is not to be claimed now though it is queued (`jobs.core.held_by`), and since when; null where nothing is.
    held_by = models.CharField(max_length=20, null=True)
    held_since = models.DateTimeField(null=True)
    #: The limit or pause in whose line it waits, a row of `jobs_flow_rule`; null where it waits in none.
    held_rule = models.BigIntegerField(null=True)
    #: What its task's `key=` says of it, after the task's name; null where the task has none.
    limit_key = models.CharField(max_length=300, null=True)
    #: The dependency that its task says it needs; null where it names none. While that one's breaker is open it waits.
    breaker = models.CharField(max_length=100, null=True)
    #: Whose job it is, where its task says so; waiting jobs of one queue are claimed in turns by tenant.
    tenant = models.CharField(max_length=200, null=True)
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
            # Whoever asks for jobs of a queue that nothing holds back reads none of the others, however many they are;
            # those without a message stand in it by their age.
            models.Index(
                fields=["queue", "dispatched_at", "held_by", "run_at"],
                condition=models.Q(state=State.QUEUED),
                name="jobs_job_queued",
            ),
            # The order in which `ledger://` hands jobs out and batches are claimed. Its condition on the state is one
            # that no other index has: else PostgreSQL would take one of those, which it may believe to be empty, and
            # sort all of it. That on the priority always holds, and only who wants this order says it: else PostgreSQL
            # would look here for what has no message, among all that has one.
            models.Index(
                fields=["queue", "-priority", "run_at", "id"],
                condition=models.Q(
                    state__gte=State.QUEUED, state__lte=State.QUEUED, held_by__isnull=True, priority__gte=0
                ),
                name="jobs_job_waiting",
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(state=State.QUEUED, held_by__in=sorted(FOR_NEWER_CODE)),
                name="jobs_job_held",
            ),
            # The line before a limit, in its order; and what runs under a key. Other jobs are in neither.
            models.Index(
                fields=["held_rule", "-priority", "run_at", "id"],
                condition=models.Q(state=State.QUEUED, held_rule__isnull=False),
                name="jobs_job_line",
            ),
            # What waits for its tenant's turn. No other index has this condition on the state, either: of one that has,
            # PostgreSQL without statistics would read all that is queued, for the name of each tenant.
            models.Index(
                fields=["queue", "priority", "tenant", "run_at", "id"],
                condition=models.Q(
                    state__gte=State.QUEUED, state__lt=AFTER_QUEUED, tenant__isnull=False, held_by__isnull=True
                ),
                name="jobs_job_turns",
            ),
            # What waits for its tenant's turn in the line of a limit, which has this condition on the state for the
            # same reason.
            models.Index(
                fields=["held_rule", "priority", "tenant", "run_at", "id"],
                condition=models.Q(
                    state__gte=State.QUEUED, state__lt=AFTER_QUEUED, tenant__isnull=False, held_rule__isnull=False
                ),
                name="jobs_job_line_turns",
            ),
            models.Index(
                fields=["limit_key"],
                condition=models.Q(state=State.RUNNING, limit_key__isnull=False),
                name="jobs_job_running_keys",
            ),
            # Those that are held back and need a dependency, in the order in which one of them becomes the probe.
            models.Index(
                fields=["breaker", "held_by", "-priority", "run_at", "id"],
                condition=models.Q(state=State.QUEUED, breaker__isnull=False, held_by__isnull=False),
                name="jobs_job_held_by_breaker",
            ),
            models.Index(fields=["lease_expires_at"], condition=models.Q(state=State.RUNNING), name="jobs_job_leases"),
            models.Index(fields=["-created_at", "-id"], name="jobs_job_newest"),
            models.Index(fields=["changed_at", "id"], name="jobs_job_changes"),
            models.Index(fields=["parent_id"], condition=models.Q(parent_id__isnull=False), name="jobs_job_children"),
            models.Index(
                fields=["group_id", "group_index"],
                condition=models.Q(group_id__isnull=False),
                name="jobs_job_members",
            ),
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
        permissions = [
            ("operate_job", "Can retry, cancel, replay and discard jobs, and pause queues"),
            ("run_task", "Can run any task, public or not, with any arguments"),
        ]

    def __str__(self) -> str:
        return f"{self.task}[{self.id}]"

    @property
    def held_back(self) -> str:
        """Why it waits though it is due, in words; empty where nothing holds it back."""
        if not self.held_by or self.state != State.QUEUED:
            return ""
        return f"waits for {self.breaker}" if self.held_by == HeldBy.BREAKER else HeldBy(self.held_by).words

    @property
    def calls(self) -> int:
        """For how many calls it stands: the one that enqueued it, and those that found it there by its unique key."""
        return 1 + self.unique_calls.count()

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
