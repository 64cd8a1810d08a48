"""The embedded backend's documents, and the record of reindexes."""

from typing import ClassVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now


class TermsField(models.TextField):  # type: ignore[type-arg]
    """What a document is found by, as the database's dialect in `search.backends` writes it.

    A `tsvector` on PostgreSQL, a text on SQLite. Nobody reads it back but the database.
    """

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """Return the type of the column."""
        return "tsvector" if connection.vendor == "postgresql" else "text"


class IndexAlias(models.Model):
    """Which generation of an index is live, and which one a reindex is building. Swapping is changing this row."""

    name = models.CharField(max_length=50, primary_key=True)
    live = models.IntegerField(default=1)
    staging = models.IntegerField(null=True)
    latest = models.IntegerField(default=1)

    class Meta:
        """Named as people write it."""

        verbose_name_plural = "index aliases"

    def __str__(self) -> str:
        return self.name


class IndexedDocument(models.Model):
    """A document of the embedded backend."""

    index = models.CharField(max_length=50)
    generation = models.IntegerField()
    key = models.CharField(max_length=100)
    data = models.JSONField()
    terms = TermsField(null=True)

    class Meta:
        """One document of a key in each generation."""

        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["index", "generation", "key"], name="search_document_once"),
        ]

    def __str__(self) -> str:
        return f"{self.index}/{self.key}"


class Reindex(models.Model):
    """A reindex, under way or done. At most one of an index is under way."""

    index = models.CharField(max_length=50)
    #: The job that does it; another attempt of the same job goes on where it stood.
    job_id = models.UUIDField()
    #: The last id that is in the staging index.
    cursor = models.CharField(max_length=100, default="", blank=True)
    done = models.IntegerField(default=0)
    total = models.IntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        """Newest first."""

        verbose_name_plural = "reindexes"
        ordering: ClassVar[list[str]] = ["-started_at"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["index"], condition=models.Q(finished_at__isnull=True), name="search_reindex_one_at_a_time"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.index}, {self.done} of {self.total}"
