"""Circuit breakers: how each stands, and when it opened and closed."""

from django.db import models
from django.db.models.functions import Now

from jobs.core.breaker import BreakerState, Status


class CircuitBreaker(models.Model):
    """How a dependency's breaker stands. A dependency that no job has needed yet may have no row."""

    name = models.CharField(max_length=50, primary_key=True)
    state = models.CharField(
        max_length=9, choices=[(one.value, one.words) for one in BreakerState], db_default=BreakerState.CLOSED
    )
    #: Failures in a row, and the outcomes of the window that began then.
    failures = models.IntegerField(db_default=0)
    window_start = models.DateTimeField(null=True)
    window_total = models.IntegerField(db_default=0)
    window_failed = models.IntegerField(db_default=0)
    #: Since when it is not closed, and why: the error that opened it, or what the operator said.
    opened_at = models.DateTimeField(null=True)
    reason = models.TextField(db_default="")
    #: The operator who opened it; empty where it opened by itself.
    opened_by = models.CharField(max_length=254, db_default="")
    #: From when a probe may run; null while it is closed, and where an operator opened it.
    next_probe_at = models.DateTimeField(null=True)
    failed_probes = models.IntegerField(db_default=0)
    #: The job that probes, and the lease under which it does: only while it runs under that is there a probe.
    probe_job_id = models.UUIDField(null=True)
    probe_lease = models.CharField(max_length=32, null=True)
    #: When a job that is held back was last let go to be the probe.
    probe_sent_at = models.DateTimeField(null=True)
    #: How often it has opened, since counting began.
    openings = models.BigIntegerField(db_default=0)

    class Meta:
        db_table = "jobs_breaker"
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=sorted(BreakerState)), name="jobs_breaker_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(state=BreakerState.CLOSED, opened_at__isnull=True)
                | (~models.Q(state=BreakerState.CLOSED) & models.Q(opened_at__isnull=False)),
                name="jobs_breaker_opened_at_iff_not_closed",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> Status:
        """How it stands, for the rules."""
        return Status(
            BreakerState(self.state),
            self.failures,
            self.window_start,
            self.window_total,
            self.window_failed,
            self.opened_at,
            self.next_probe_at,
            self.failed_probes,
        )


class BreakerChange(models.Model):
    """A breaker opened, or closed. Probes that fail leave it open, and are no change."""

    breaker = models.CharField(max_length=50)
    at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=9)
    #: The error that opened it, or what the operator said.
    reason = models.TextField(db_default="")
    #: The operator; empty where it changed by itself.
    actor = models.CharField(max_length=254, db_default="")

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["breaker", "-at", "-id"], name="jobs_breakerchange_newest")]

    def __str__(self) -> str:
        return f"{self.breaker} {self.state}"
