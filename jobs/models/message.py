"""What `ledger://` carries besides jobs."""

from django.db import models
from django.db.models.functions import Now


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
    #: When nobody wants it any more, if it was not delivered by then; null where there is no such time.
    expires_at = models.DateTimeField(null=True)
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
            models.Index(
                fields=["expires_at"],
                condition=models.Q(expires_at__isnull=False),
                name="jobs_brokermessage_expiring",
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.id} to {self.queue or self.exchange}"
