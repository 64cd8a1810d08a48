"""What can be done with an account. Each function is one transaction; the mails it has sent are jobs of it.

Nothing here tells a caller whether an address has an account: for a known and an unknown one the same statements run
and one job is enqueued, so neither the answer nor its timing gives anything away. What differs, differs in the worker.
"""

import uuid

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import changes, links
from accounts.links import LinkError
from accounts.models import EmailChange, User
from mail.tasks import send
from search.tasks import index_document


class AddressTaken(Exception):
    """Raised when an address got an account of its own before a change to it was confirmed."""


@transaction.atomic
def sign_up(email: str, *, language: str = "") -> None:
    """Make an account that nobody can use yet, and mail the link that completes it.

    Where the address has one already, its owner is told so; where that one was never completed, the link comes again.
    """
    # Inserted or not, in one statement: two sign-ups at the same moment cannot collide.
    User.objects.bulk_create(
        [User(email=email, language=language, password=make_password(None))],
        ignore_conflicts=True,
    )
    user = User.objects.get(email=email)
    send.delay(
        kind="account_exists" if user.is_verified else "verification",
        user_id=str(user.pk),
    )


@transaction.atomic
def resend_verification(email: str) -> None:
    """Mail the link that completes the account at this address again, if there is one to complete."""
    send.delay(kind="verification", user_id=_id_of(email))


@transaction.atomic
def complete_sign_up(token: str, *, password: str, name: str = "") -> User:
    """Verify the address of a link's user, with the password and name they chose. Raises LinkError."""
    user = links.VERIFICATION.open(token)
    now, hashed = timezone.now(), make_password(password)
    # The condition makes the link single-use even for two clicks at the same moment.
    completed = User.objects.filter(pk=user.pk, password=user.password, email_verified_at=None).update(
        email_verified_at=now, password=hashed, name=name
    )
    if not completed:
        raise LinkError("This link has been used already.")
    search_must_look(user.pk)
    user.refresh_from_db()
    return user


@transaction.atomic
def request_password_reset(email: str) -> None:
    """Mail a link to a new password, if this address has an account."""
    send.delay(kind="password_reset", user_id=_id_of(email))


@transaction.atomic
def reset_password(token: str, password: str) -> User:
    """Give a link's user a new password, which ends all their sessions. Raises LinkError."""
    user = links.PASSWORD_RESET.open(token)
    changed = User.objects.filter(pk=user.pk, password=user.password).update(password=make_password(password))
    if not changed:
        raise LinkError("This link has been used already.")
    send.delay(kind="security_notice", user_id=str(user.pk), event="password_changed")
    user.refresh_from_db()
    return user


@transaction.atomic
def change_password(user: User, password: str) -> None:
    """Give a user a new password, which ends all their sessions but those renewed by the caller."""
    user.set_password(password)
    user.save(update_fields=["password"])
    send.delay(kind="security_notice", user_id=str(user.pk), event="password_changed")


@transaction.atomic
def update_profile(user: User, *, name: str, language: str) -> None:
    """Change what a user is called and written in."""
    renamed = user.name != name
    user.name, user.language = name, language
    user.save(update_fields=["name", "language"])
    search_must_look(user.pk)
    if renamed:
        changes.renamed(user.pk)


@transaction.atomic
def delete(user: User) -> None:
    """Delete a user, with all that is the user's."""
    user_id = user.pk
    changes.leaving(user_id)
    user.delete()
    search_must_look(user_id)


@transaction.atomic
def request_email_change(user: User, new_email: str) -> EmailChange:
    """Mail a confirmation link to the new address and a notice to the old one; an earlier request is void."""
    EmailChange.objects.filter(user=user, confirmed_at=None).delete()
    change = EmailChange.objects.create(user=user, old_email=user.email, new_email=new_email)
    ids = {"user_id": str(user.pk), "change_id": str(change.pk)}
    send.delay(kind="email_change", **ids)
    send.delay(kind="security_notice", event="email_change_requested", **ids)
    return change


@transaction.atomic
def cancel_email_change(user: User) -> None:
    """Void the open change of address, if there is one."""
    EmailChange.objects.filter(user=user, confirmed_at=None).delete()


@transaction.atomic
def confirm_email_change(token: str) -> EmailChange:
    """Move a link's user to the new address and notify the old one. Raises LinkError or AddressTaken."""
    change = links.EMAIL_CHANGE.open(token)
    confirmed = EmailChange.objects.filter(pk=change.pk, confirmed_at=None).update(confirmed_at=timezone.now())
    if not confirmed:
        raise LinkError("This link has been used already.")
    try:
        # A savepoint: on PostgreSQL a failed statement would spoil the transaction around it.
        with transaction.atomic():
            User.objects.filter(pk=change.user_id).update(email=change.new_email, email_verified_at=timezone.now())
    except IntegrityError as exc:
        raise AddressTaken(f"Another account has the address {change.new_email} by now.") from exc
    send.delay(
        kind="security_notice",
        user_id=str(change.user_id),
        event="email_changed",
        change_id=str(change.pk),
    )
    search_must_look(change.user_id)
    change.refresh_from_db()
    return change


def search_must_look(user_id: uuid.UUID) -> None:
    """Have the search index look at the user's present state: changed or gone."""
    index_document.delay("user", str(user_id))


def _id_of(email: str) -> str:
    """Return the id of the account at this address; for an unknown one an id nobody has.

    The job that is enqueued with it finds nobody and ends as cancelled, which the visitor cannot see.
    """
    user_id = User.objects.filter(email=email).values_list("pk", flat=True).first()
    return str(user_id or uuid.uuid4())
