"""Whose turn it is among the tenants of a queue."""

from django.db import models


class Turn(models.Model):
    """How much of a queue a tenant has had, in virtual time; the row without a tenant is the queue's clock.

    A tenant that has had less than the clock says has not waited for its turn since: it begins at the clock.
    """

    queue = models.CharField(max_length=100)
    tenant = models.CharField(max_length=200)
    served = models.FloatField(db_default=0)

    class Meta:
        db_table = "jobs_turn"
        constraints = [models.UniqueConstraint(fields=["queue", "tenant"], name="jobs_turn_name")]

    def __str__(self) -> str:
        return f"{self.tenant} in {self.queue}"
