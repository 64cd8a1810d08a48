"""What this app keeps: who of a mailing got it, and who wants no more of them."""

from django.db import models
from django.db.models.functions import Now


class Outcome(models.TextChoices):
    """What became of one recipient's mail."""

    SENT = "sent"
    #: For good, by whoever delivers mail.
    REFUSED = "refused"
    #: For now; the job's next attempt tries again.
    PUT_OFF = "put off"
    #: Nothing was sent to who had asked for that.
    UNSUBSCRIBED = "unsubscribed"


class Recipient(models.Model):
    """One address of a mailing (`mail.send_bulk`) that was tried: by it the next attempt knows what is left."""

    #: Of the job; its row may be pruned before this one.
    job_id = models.UUIDField()
    #: In its one spelling (`mail.addresses.canonical`).
    address = models.CharField(max_length=254)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    #: Why it was refused or put off, in the other side's words.
    reason = models.TextField(db_default="")
    #: The attempts before the one that came to this outcome.
    retries = models.IntegerField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["job_id", "address"], name="mail_recipient_once_in_a_job")]
        indexes = [models.Index(fields=["-at", "-id"], name="mail_recipient_newest")]

    def __str__(self) -> str:
        return f"{self.address}: {self.outcome}"


class Unsubscription(models.Model):
    """An address that gets no mailing any more. Mails about its own account still reach it."""

    #: In its one spelling (`mail.addresses.canonical`).
    address = models.CharField(max_length=254, unique=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return self.address
