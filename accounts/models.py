"""Who has an account, and what is on record about changes of address."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import (
    AbstractBaseUser,
    BaseUserManager,
    PermissionsMixin,
)
from django.db import models
from django.utils import timezone

from accounts.fields import CanonicalEmailField

MAX_EMAIL = 254
MAX_NAME = 100


class UserManager(BaseUserManager["User"]):
    """Makes users; the two `create` methods are the ones Django's own commands call."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save and return a user. Without a password nobody can log in until the owner of the address chose one."""
        if not email:
            raise ValueError("A user needs an email address; got none.")
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Save and return an administrator, whose address is taken as verified: who makes one has vouched for it."""
        fields = {
            "email_verified_at": timezone.now(),
            **fields,
            "is_staff": True,
            "is_superuser": True,
        }
        return self.create_user(email, password, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    """A person with an account, known by an email address.

    Signing up makes a row without a usable password. Whoever then opens the mailed link chooses the password; so an
    account can never be set up by someone who does not read its mail.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = CanonicalEmailField(
        "email address",
        max_length=MAX_EMAIL,
        unique=True,
        error_messages={"unique": "Another account has this address."},
    )
    name = models.CharField(
        max_length=MAX_NAME,
        blank=True,
        help_text="How we address you; others may see it.",
    )
    language = models.CharField(max_length=10, blank=True, help_text="Mails come in it; empty: the site's own.")
    email_verified_at = models.DateTimeField("address verified", null=True, blank=True, editable=False)
    is_active = models.BooleanField("active", default=True, help_text="Untick instead of deleting the account.")
    is_staff = models.BooleanField("staff", default=False, help_text="May use the admin and the job dashboard.")
    joined_at = models.DateTimeField("joined", default=timezone.now, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        """Newest first, wherever no other order is asked for."""

        ordering = ("-joined_at",)

    def __str__(self) -> str:
        return self.email

    @property
    def is_verified(self) -> bool:
        """Whether the owner of the address has confirmed it."""
        return self.email_verified_at is not None

    def get_full_name(self) -> str:
        """Return the name, or the address where there is none."""
        return self.name or self.email

    def get_short_name(self) -> str:
        """Return what the pages greet with."""
        return self.name or self.email.partition("@")[0]


class EmailChange(models.Model):
    """A user's wish to move to another address: open until confirmed there, then the record of the move."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="email_changes")
    old_email = CanonicalEmailField("from", max_length=MAX_EMAIL)
    new_email = CanonicalEmailField("to", max_length=MAX_EMAIL)
    requested_at = models.DateTimeField("requested", default=timezone.now)
    confirmed_at = models.DateTimeField("confirmed", null=True, blank=True)

    class Meta:
        """One open wish a user: a new one takes the place of the last."""

        ordering = ("-requested_at",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("user",),
                condition=models.Q(confirmed_at__isnull=True),
                name="accounts_one_open_email_change",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.old_email} → {self.new_email}"
