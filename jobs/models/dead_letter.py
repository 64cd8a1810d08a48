"""What is kept of jobs that gave up, and of messages that nobody could read."""

from django.db import models
from django.db.models.functions import Now

from jobs.models.job import Job


class DeadLetter(models.Model):
    """What is kept of a job that gave up, or of a message that nobody could read.

    It comes from the dead-letter queue of the broker, moved here by the archiver. Its id is made where the letter
    is, so that archiving it twice changes nothing.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="dead_letters")
    #: Empty where the message did not even say.
    task = models.CharField(max_length=200, db_default="")
    #: Where the message had been; its dead-letter queue is `<queue>.dead`.
    queue = models.CharField(max_length=255)
    exchange = models.CharField(max_length=255, db_default="")
    routing_key = models.CharField(max_length=255, db_default="")
    reason = models.CharField(max_length=20)
    error = models.TextField(db_default="")
    attempt = models.IntegerField(db_default=0)
    correlation_id = models.CharField(max_length=64, db_default="")
    failed_at = models.DateTimeField()
    archived_at = models.DateTimeField(db_default=Now())

    #: The message as it was.
    body = models.BinaryField()
    content_type = models.CharField(max_length=200, db_default="")
    content_encoding = models.CharField(max_length=100, db_default="")
    headers = models.JSONField()
    properties = models.JSONField()
    #: The arguments, where they can be read.
    args = models.JSONField(null=True)
    kwargs = models.JSONField(null=True)

    replayed_at = models.DateTimeField(null=True)
    #: The job that the replay put into a queue: the same one, or a new one where the arguments were corrected.
    replay_job_id = models.UUIDField(null=True)
    discarded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-failed_at", "-id"]
        indexes = [
            models.Index(fields=["-failed_at", "-id"], name="jobs_deadletter_newest"),
            models.Index(fields=["task", "reason"], name="jobs_deadletter_groups"),
            models.Index(fields=["archived_at"], name="jobs_deadletter_archived"),
        ]

    def __str__(self) -> str:
        return f"{self.task or 'unreadable message'} on {self.queue}: {self.reason}"

    @property
    def is_open(self) -> bool:
        """Whether nobody has replayed or discarded it yet."""
        return self.replayed_at is None and self.discarded_at is None
