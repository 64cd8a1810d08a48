"""Where alerts go, what is or was wrong, and who was told."""

from django.db import models
from django.db.models.functions import Now


class AlertTarget(models.Model):
    """Somebody who is told what is wrong, and how."""

    class Kind(models.TextChoices):
        """How a target is told."""

        MAIL = "mail", "Mail"
        SLACK = "slack", "Slack, or what understands its webhooks"
        WEBHOOK = "webhook", "Signed webhook"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=7, choices=Kind.choices)
    #: An email address, or a URL. Slack's holds a secret, so no URL is shown again.
    address = models.CharField(max_length=1000)
    #: Signs what a webhook is told: `whsec_` and base64, shown once. It is needed to sign, so no digest would do.
    secret = models.CharField(max_length=100, db_default="", editable=False)
    enabled = models.BooleanField(default=True)
    #: From when until when nobody is told, in `CRON_TIMEZONE`; both or neither.
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Incident(models.Model):
    """Something that is wrong, from its beginning to its end."""

    #: What is wrong with what, the same for as long as it lasts.
    cause = models.CharField(max_length=300)
    #: The latest sentence about it.
    text = models.TextField()
    #: Where to look: the dashboard's page, and what follows the question mark.
    room = models.CharField(max_length=40)
    query = models.TextField(db_default="")
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["cause"], condition=models.Q(resolved_at__isnull=True), name="jobs_incident_open_once"
            )
        ]
        indexes = [models.Index(fields=["-opened_at", "-id"], name="jobs_incident_newest")]

    def __str__(self) -> str:
        return self.cause


class AlertNotice(models.Model):
    """That one target is told of one incident, and of its end."""

    target = models.ForeignKey(AlertTarget, on_delete=models.CASCADE, related_name="notices")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="notices")
    created_at = models.DateTimeField()
    #: When the other side had taken it.
    told_at = models.DateTimeField(null=True)
    #: When the job was enqueued that tells of the end.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["target", "incident"], name="jobs_alertnotice_once")]
        indexes = [models.Index(fields=["target", "-created_at"], name="jobs_alertnotice_newest")]

    def __str__(self) -> str:
        return f"{self.target_id} of {self.incident_id}"


class AlertWatch(models.Model):
    """One row: when a worker last looked for what is wrong, so that of many workers one looks."""

    looked_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "alert watches"

    def __str__(self) -> str:
        return f"{self.looked_at}"
