"""What operators and clients have done."""

from django.db import models
from django.db.models.functions import Now


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
