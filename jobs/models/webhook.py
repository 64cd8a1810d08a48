"""Webhooks that are told what becomes of jobs, and what they were told."""

from django.db import models
from django.db.models.functions import Now

from jobs.models.job import Job


class Webhook(models.Model):
    """An address that is told what becomes of jobs."""

    name = models.CharField(max_length=100, unique=True)
    #: It may hold a secret, so no more than its host is shown again.
    url = models.CharField("URL", max_length=1000)
    #: Signs what it is told: `whsec_` and base64, shown once. It is needed to sign, so no digest would do.
    secret = models.CharField(max_length=100, editable=False)
    #: Whose jobs: names of tasks, in which `*` stands for anything; of all tasks where empty.
    tasks = models.JSONField(default=list, blank=True)
    #: What is told of a job: the states it comes into (`jobs.webhooks.subscriptions.STATES`).
    states = models.JSONField(default=list)
    #: Jobs of this queue only; of all queues where empty.
    queue = models.CharField(max_length=100, db_default="", blank=True)
    enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=200, db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(models.Model):
    """One event that a webhook is told, by a job: its state says what came of it, and its id names the event."""

    #: The database holds neither this nor the next: a worker of older code, which prunes jobs, knows of no deliveries,
    job = models.OneToOneField(Job, on_delete=models.CASCADE, db_constraint=False, related_name="webhook_delivery")
    #: and whoever records the end of a job waits for nobody who changes a webhook.
    webhook = models.ForeignKey(
        Webhook, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="deliveries"
    )
    #: What happened, such as `job.dead`.
    event = models.CharField(max_length=20)
    #: The job that it happened to, and its task; neither of a test.
    of_job = models.UUIDField(null=True)
    task = models.CharField(max_length=200, db_default="")
    #: What the receiver gets besides the event's id.
    body = models.JSONField()
    #: What the receiver last answered, in HTTP's numbers; null where it never did.
    status = models.SmallIntegerField(null=True)
    #: How long the last try took.
    seconds = models.FloatField(null=True)
    tried_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["webhook", "-job"], name="jobs_webhook_latest"),
            models.Index(fields=["of_job"], condition=models.Q(of_job__isnull=False), name="jobs_webhook_of_job"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook_id}"
