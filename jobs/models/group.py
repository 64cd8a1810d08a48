"""Groups: jobs that were enqueued together, and what is to follow when all of them have ended."""

import uuid

from django.db import models
from django.db.models.functions import Now


class JobGroup(models.Model):
    """Jobs that belong together. Its counts change in the transactions that change its members' states.

    A member is a job with this `group_id` and a `group_index`; one without an index only leads to a member, as the
    first steps of a chain do whose last one is a member.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: How many members it has, and how many of them stand at each end.
    size = models.IntegerField()
    succeeded = models.IntegerField(db_default=0)
    dead = models.IntegerField(db_default=0)
    cancelled = models.IntegerField(db_default=0)
    #: A chord's body, as a signature: enqueued with all results when the last member has succeeded. Null for none.
    body = models.JSONField(null=True)
    #: The Celery task id that stands for the body's result.
    body_id = models.UUIDField(null=True)
    #: Signatures that are enqueued with the group's id: `on_success`, `on_dead`, `on_progress`. Null for none.
    callbacks = models.JSONField(null=True)
    #: The tenth of its members that `on_progress` was last told of.
    told_tenths = models.SmallIntegerField(db_default=0)
    #: The group that waits for this one's body, and for how many of its members that stands.
    outer_id = models.UUIDField(null=True)
    outer_ways = models.IntegerField(db_default=0)
    #: What `GroupResult.save()` keeps.
    saved = models.JSONField(null=True)
    parent_id = models.UUIDField(null=True)
    correlation_id = models.CharField(max_length=64, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    #: When the last of its members ended; null while one has not.
    ended_at = models.DateTimeField(null=True)
    #: When what follows its success was enqueued; it never is again.
    followed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "jobs_group"
        indexes = [
            models.Index(fields=["body_id"], condition=models.Q(body_id__isnull=False), name="jobs_group_body"),
            models.Index(fields=["created_at"], name="jobs_group_age"),
        ]

    def __str__(self) -> str:
        return f"group {self.id}"

    @property
    def waiting(self) -> int:
        """How many of its members have not ended."""
        return max(0, self.size - self.succeeded - self.dead - self.cancelled)
