"""What follows when somebody's address or password changes or their account is closed, by whatever path it happens.

`User.save` and `User.objects.update` ask here, so forms, the admin, management commands and a shell all have the same
consequences: what was open with the old credentials is void, and the owner is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from django.utils import timezone

from mail.tasks import send

if TYPE_CHECKING:
    from django.db.models import Field

    from accounts.models import User

#: The fields by which somebody gets in.
FIELDS = frozenset({"email", "password", "is_active"})


@dataclass(frozen=True, slots=True)
class Change:
    """What is about to be written of somebody's credentials.

    Attributes:
        before: the row as it is, locked; None where it is new.
        changed: those of FIELDS that get another value.
    """

    before: "User | None" = None
    changed: frozenset[str] = frozenset()

    def revokes(self, user: "User") -> bool:
        """Return whether sessions and mailed links of the old state end for good."""
        return "password" in self.changed or ("is_active" in self.changed and not user.is_active)

    def settle(self, user: "User") -> None:
        """Void what was open and tell the owner, now that the change is written. Call it in the same transaction."""
        if self.before is None or not self.changed:
            return
        now = timezone.now()
        change_id = _moved(user, self.before.email, now) if "email" in self.changed else ""
        if change_id or self.revokes(user):
            user.email_changes.filter(confirmed_at=None).delete()
        # Whoever never had a way in has none that could have been taken.
        if not (self.before.is_verified or self.before.has_usable_password()):
            return
        if change_id:
            send.delay(kind="security_notice", user_id=str(user.pk), event="email_changed", change_id=change_id)
        if "password" in self.changed:
            at = now.isoformat()
            send.delay(kind="security_notice", user_id=str(user.pk), event="password_changed", at=at)


def change(user: "User", update_fields: Iterable[str] | None) -> Change:
    """Compare what is about to be saved with the row, and lock that until the end of the transaction."""
    written = FIELDS - user.get_deferred_fields() if update_fields is None else FIELDS & frozenset(update_fields)
    if user._state.adding or not written:  # noqa: SLF001 (documented by Django)
        return Change()
    before = type(user).objects.select_for_update().filter(pk=user.pk).first()
    return compared(before, user, written) if before else Change()


def compared(before: "User", user: "User", names: Iterable[str] = FIELDS) -> Change:
    """Return what of these fields differs between a row as it was and a user as it is, or will be."""
    return Change(before, frozenset(name for name in names if _value(user, name) != _value(before, name)))


def _value(user: "User", name: str) -> object:
    """Return a field as it is, or will be, in its column."""
    field = cast("Field[object, object]", user._meta.get_field(name))  # noqa: SLF001 (documented by Django)
    return field.get_prep_value(getattr(user, name))


def _moved(user: "User", old_email: str, now: datetime) -> str:
    """Put a change of address on record and return its id: that of the wish that was open for it, or a new one."""
    asked_for = user.email_changes.filter(confirmed_at=None, new_email=user.email).first()
    record = asked_for or user.email_changes.model(user=user, old_email=old_email, new_email=user.email)
    record.old_email, record.confirmed_at = old_email, now
    record.save()
    return str(record.pk)
