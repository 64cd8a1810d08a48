"""Who has an account, and what is on record about changes of address."""

import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.contrib.auth import hashers
from django.contrib.auth.models import (
    AbstractBaseUser,
    BaseUserManager,
    PermissionsMixin,
)
from django.db import models, transaction
from django.utils import timezone

from accounts import credentials
from accounts.fields import CanonicalEmailField

MAX_EMAIL = 254
MAX_NAME = 100


class UserQuerySet(models.QuerySet["User"]):
    """Many users at once."""

    def update(self, **values: Any) -> int:
        """Update rows, with all that follows where that changes an address or a password or closes an account."""
        if not credentials.FIELDS & values.keys():
            return super().update(**values)
        if values.keys() & {"password", "is_active"}:
            values["revocations"] = models.F("revocations") + 1
        with transaction.atomic(using=self.db):
            rows = User.objects.using(self.db).filter(pk__in=self.values("pk"))
            before = {user.pk: user for user in rows.select_for_update()}
            updated = super().update(**values)
            for user in User.objects.using(self.db).filter(pk__in=before):
                credentials.compared(before[user.pk], user).settle(user)
        return updated

    def hash_anew(self, hashed: str) -> int:
        """Replace the hash of a password that stays the same: nobody is to be told, and nothing ends."""
        return super().update(password=hashed)

    def never_completed(self) -> "UserQuerySet":
        """Return sign-ups whose link nobody followed: they have no password and nothing that could be lost."""
        return self.filter(email_verified_at=None, last_login=None, is_staff=False, is_superuser=False)


class UserManager(BaseUserManager["User"]):
    """Makes users; the two `create` methods are the ones Django's own commands call."""

    def get_queryset(self) -> UserQuerySet:
        """Return all users."""
        return UserQuerySet(self.model, using=self._db)

    def never_completed(self) -> UserQuerySet:
        """See UserQuerySet."""
        return self.get_queryset().never_completed()

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
    #: How often all that was open of this account, sessions and mailed links, was ended for good.
    revocations = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        """Newest first, wherever no other order is asked for."""

        ordering = ("-joined_at",)

    def __str__(self) -> str:
        return self.email

    def save(self, **kwargs: Any) -> None:
        """Save, with all that follows where an address or a password changes or the account is closed."""
        fields = kwargs.get("update_fields")
        with transaction.atomic():
            change = credentials.change(self, fields)
            if change.before is not None:
                self.revocations = change.before.revocations + change.revokes(self)
                kwargs["update_fields"] = fields if fields is None else {*fields, "revocations"}
            super().save(**kwargs)
            change.settle(self)

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the password, and hash it anew where the hash is not of today's kind."""
        return hashers.check_password(raw_password, self.password, self._hash_anew)

    async def acheck_password(self, raw_password: str | None) -> bool:
        """See check_password."""
        return await sync_to_async(self.check_password)(raw_password)

    def get_session_auth_hash(self) -> str:
        """Return what ends every session when it changes: a closed account's do not come back with it."""
        return f"{super().get_session_auth_hash()}.{self.revocations}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Return the same under the keys of before (SECRET_KEY_FALLBACKS)."""
        for former in super().get_session_auth_fallback_hash():
            yield f"{former}.{self.revocations}"

    def _hash_anew(self, raw_password: str) -> None:
        hashed = hashers.make_password(raw_password)
        User.objects.get_queryset().filter(pk=self.pk, password=self.password).hash_anew(hashed)
        self.password = hashed

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
