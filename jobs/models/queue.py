"""What an operator has said of a queue."""

from django.db import models


class Queue(models.Model):
    """What an operator has said of a queue. A queue nobody said anything about has no row."""

    name = models.CharField(max_length=100, primary_key=True)
    paused_at = models.DateTimeField(null=True)
    paused_by = models.CharField(max_length=254, db_default="")
    #: Until when, if that is known, and why.
    paused_until = models.DateTimeField(null=True)
    pause_reason = models.CharField(max_length=200, db_default="")

    def __str__(self) -> str:
        return self.name
