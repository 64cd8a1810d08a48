"""Clients' keys to the API."""

from django.db import models
from django.db.models.functions import Now


class ApiToken(models.Model):
    """A client's key to the API. Only its hash is kept."""

    name = models.CharField(max_length=100)
    #: SHA-256 of the token, which has 256 random bits: nothing slower is needed.
    digest = models.CharField(max_length=64, unique=True, editable=False)
    #: The first signs of the token, to recognise it by.
    prefix = models.CharField(max_length=12, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=254, db_default="")
    last_used_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API token"
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
