"""Limits, pauses and weights: whether, how often and how many at once jobs of a task, queue, key or tenant may run."""

from django.db import models
from django.db.models.functions import Now

from jobs.core.limits import Kind


class FlowRule(models.Model):
    """What concerns the claims of one task, queue, key or tenant. Where nothing does, there is no row.

    Queues are paused in `jobs_queue`.

    A row that somebody has changed keeps its figures whatever the code declares, until it is reset.
    """

    kind = models.CharField(max_length=6, choices=[(kind.value, kind.value) for kind in Kind])
    #: The task's, the queue's, the tenant's, or a key as `Job.limit_key` has it.
    name = models.CharField(max_length=300)
    #: The name that the task of this one has now; null where nobody has renamed it.
    renamed_to = models.CharField(max_length=200, null=True)
    #: How many jobs may begin, as `100/s`, `10/m` or `1/h`; null for no such limit.
    rate = models.CharField(max_length=20, null=True)
    #: How many of these may begin at one moment after a pause.
    burst = models.PositiveIntegerField(db_default=1)
    #: How many jobs may run at once; null for no such limit.
    concurrency = models.PositiveIntegerField(null=True)
    #: Whether a task's figures hold for each of its keys, and not for all its jobs together.
    is_per_key = models.BooleanField(db_default=False)
    #: A tenant's share of each queue, beside those of others, which weigh 1; null for 1.
    weight = models.FloatField(null=True)
    #: `code` or `setting`, which declared it; `operator` since somebody changed it.
    source = models.CharField(max_length=8, db_default="code")
    #: Who changed it, and when; empty where nobody has.
    changed_by = models.CharField(max_length=254, db_default="")
    changed_at = models.DateTimeField(db_default=Now())
    #: Since when no job of it may begin, until when if that is known, by whom and why.
    paused_at = models.DateTimeField(null=True)
    paused_until = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=254, db_default="")
    pause_reason = models.CharField(max_length=200, db_default="")
    #: When the next job of an even flow would arrive (GCRA), in seconds since 1970 by the database's clock.
    tat = models.FloatField(db_default=0)
    #: Whether jobs may wait in its line.
    has_line = models.BooleanField(db_default=False)

    class Meta:
        db_table = "jobs_flow_rule"
        constraints = [
            models.UniqueConstraint(fields=["kind", "name"], name="jobs_flow_rule_name"),
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(has_line=True), name="jobs_flow_rule_lines"),
            models.Index(fields=["name"], condition=models.Q(renamed_to__isnull=False), name="jobs_flow_rule_renamed"),
        ]

    def __str__(self) -> str:
        return self.name
