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
    # Whoever signed up here before need not have been the owner of the address; who comes last is as likely.
    User.objects.never_completed().filter(email=email).update(language=language, joined_at=timezone.now())
    user = User.objects.get(email=email)
    send.delay(
        kind="account_exists" if user.is_verified else "verification",
        user_id=str(user.pk),
    )


@transaction.atomic
def resend_verification(email: str) -> None:
    """Mail the link that completes the account at this address again, if there is one to complete."""
    _keep_for_its_link(email)
    send.delay(kind="verification", user_id=_id_of(email))


@transaction.atomic
def complete_sign_up(token: str, *, password: str, name: str = "") -> User:
    """Verify the address of a link's user, with the password and name they chose. Raises LinkError."""
    user = _locked(links.VERIFICATION.open(token))
    user.set_password(password)
    user.email_verified_at, user.name = timezone.now(), name
    user.save(update_fields=["password", "email_verified_at", "name"])
    search_must_look(user.pk)
    return user


@transaction.atomic
def request_password_reset(email: str) -> None:
    """Mail a link to a new password, if this address has an account."""
    _keep_for_its_link(email)
    send.delay(kind="password_reset", user_id=_id_of(email))


@transaction.atomic
def reset_password(token: str, password: str) -> User:
    """Give a link's user a new password, which ends all their sessions. Raises LinkError."""
    user = _locked(links.PASSWORD_RESET.open(token))
    change_password(user, password)
    return user


@transaction.atomic
def change_password(user: User, password: str) -> None:
    """Give a user a new password, which ends all their sessions but those renewed by the caller."""
    user.set_password(password)
    user.save(update_fields=["password"])


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
    """Move a link's user to the new address; the old one is notified. Raises LinkError or AddressTaken."""
    change = links.EMAIL_CHANGE.open(token)
    user = _locked(change.user)
    user.email, user.email_verified_at = change.new_email, timezone.now()
    try:
        # A savepoint: on PostgreSQL a failed statement would spoil the transaction around it.
        with transaction.atomic():
            # Whoever signed up with it before and never followed the link does not read its mail, or wants this more.
            started = User.objects.never_completed().filter(email=change.new_email, is_active=True)
            started.filter(joined_at__lt=change.requested_at).delete()
            user.save(update_fields=["email", "email_verified_at"])
    except IntegrityError as exc:
        raise AddressTaken(f"Another account has the address {change.new_email} by now.") from exc
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


def _keep_for_its_link(email: str) -> None:
    """Have the weekly cleanup leave a sign-up alone for as long as the link that is mailed now works."""
    User.objects.never_completed().filter(email=email).update(joined_at=timezone.now())


def _locked(user: User) -> User:
    """Return the user of a link that was just opened, locked, so that of two clicks at a moment one changes anything.

    Raises LinkError where the other one was first, or something else that ends links was.
    """
    same = User.objects.filter(pk=user.pk, email=user.email, password=user.password, is_active=True)
    found = same.filter(revocations=user.revocations, email_verified_at=user.email_verified_at)
    try:
        return found.select_for_update().get()
    except User.DoesNotExist:
        raise LinkError("This link has been used already, or its account has changed since.") from None
