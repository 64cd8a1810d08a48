"""The workers, as they last said of themselves."""

from django.db import models
from django.db.models.functions import Now


class Worker(models.Model):
    """A worker process, as it last said of itself. One that died goes silent; one that stopped says so."""

    id = models.UUIDField(primary_key=True, editable=False)
    #: Its node name; nothing keeps two workers from having the same one.
    name = models.CharField(max_length=255)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    queues = models.JSONField()
    pool = models.CharField(max_length=40)
    concurrency = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    running = models.IntegerField(db_default=0)
    memory_bytes = models.BigIntegerField(db_default=0)
    #: For each connection its state, and how often it was tried.
    connections = models.JSONField(default=dict)
    #: What it has counted since its start, by name; what the ledger's own rows do not tell.
    counters = models.JSONField(default=dict)

    class Meta:
        ordering = ["name", "started_at"]

    def __str__(self) -> str:
        return self.name
