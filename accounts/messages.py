"""The messages this app writes.

Each is written in the worker, at the moment of sending, from the rows as they are then: so a link is never older than
its mail, and who needs no message any more gets none.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts import links
from accounts.models import EmailChange, User
from mail import addresses, messages as mail_messages
from mail.errors import InvalidMail, NothingToSend
from mail.messages import Message

#: What a security notice can be about, and its subject line.
NOTICES: Mapping[str, Promise] = {
    "password_changed": _("Your password was changed"),
    "email_change_requested": _("Somebody wants to change your email address"),
    "email_changed": _("Your email address was changed"),
}


def register() -> None:
    """Let `mail` know what can be requested."""
    mail_messages.register("verification", verification)
    mail_messages.register("account_exists", account_exists)
    mail_messages.register("password_reset", password_reset)
    mail_messages.register("email_change", email_change)
    mail_messages.register("security_notice", security_notice)


def verification(user_id: str) -> Message:
    """Return the message whose link confirms the address and chooses the password."""
    user = _user(user_id)
    if user.is_verified:
        raise NothingToSend("The address has been verified meanwhile.")
    return _message(
        user,
        _("Confirm your email address"),
        "verification",
        {"link": links.VERIFICATION.url(user), "lifetime": links.VERIFICATION.lifetime_in_words},
    )


def account_exists(user_id: str) -> Message:
    """Return the message for someone who signs up again."""
    return _message(
        _user(user_id),
        _("You already have an account"),
        "account_exists",
        {"log_in": links.page("log-in"), "reset": links.page("password-reset")},
    )


def password_reset(user_id: str) -> Message:
    """Return the message whose link leads to a new password; a first one, where there is none yet."""
    user = _user(user_id)
    if not user.is_verified:
        return verification(user_id)
    return _message(
        user,
        _("Choose a new password"),
        "password_reset",
        {"link": links.PASSWORD_RESET.url(user), "lifetime": links.PASSWORD_RESET.lifetime_in_words},
    )


def email_change(user_id: str, change_id: str) -> Message:
    """Return the message to the new address whose link completes the change.

    Where the new address has an account of its own, its owner is told that instead; who asked cannot tell. A sign-up
    that nobody completed is no such account: whoever reads the mail there is the owner.
    """
    change = _change(user_id, change_id)
    if change.confirmed_at is not None:
        raise NothingToSend("The new address has been confirmed meanwhile.")
    owner = User.objects.filter(email=change.new_email, is_active=True).first()
    if owner is not None and not _holds_nothing(owner):
        return account_exists(str(owner.pk))
    return _message(
        change.user,
        _("Confirm your new email address"),
        "email_change",
        {
            "link": links.EMAIL_CHANGE.url(change),
            "lifetime": links.EMAIL_CHANGE.lifetime_in_words,
            "old_email": change.old_email,
            "new_email": change.new_email,
        },
        to=change.new_email,
    )


def security_notice(user_id: str, event: str, change_id: str = "", at: str = "") -> Message:
    """Return the message that tells of a change whoever would suffer if it was not theirs.

    About a change of address it goes to the old one, and about a password to the address that the account had `at` that
    time (ISO 8601): who took the account may have moved it before the message is sent.
    """
    if event not in NOTICES:
        raise InvalidMail(f"There is no security notice about {event!r}; known: {', '.join(NOTICES)}.")
    context: dict[str, object] = {"event": event, "reset": links.page("password-reset")}
    if not change_id:
        user = _user(user_id)
        return _message(user, NOTICES[event], "security_notice", context, to=_address(user, at) if at else "")
    change = _change(user_id, change_id)
    context |= {"old_email": change.old_email, "new_email": change.new_email}
    return _message(change.user, NOTICES[event], "security_notice", context, to=change.old_email)


def _user(user_id: str) -> User:
    try:
        return User.objects.get(pk=_uuid(user_id), is_active=True)
    except User.DoesNotExist:
        raise NothingToSend("Nobody has this account any more.") from None


def _address(user: User, at: str) -> str:
    """Return the address that an account had at some time: its moves are on record."""
    try:
        moment = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidMail(f"{at!r} is no time: it must be in ISO 8601.") from None
    moved = user.email_changes.filter(confirmed_at__gte=moment).order_by("confirmed_at").first()
    return moved.old_email if moved else user.email


def _change(user_id: str, change_id: str) -> EmailChange:
    changes = EmailChange.objects.select_related("user")
    try:
        return changes.get(pk=_uuid(change_id), user__pk=_uuid(user_id), user__is_active=True)
    except EmailChange.DoesNotExist:
        raise NothingToSend(
            "This change of address was given up, replaced by a newer one or ended by a new password, "
            "or its account is gone."
        ) from None


def _holds_nothing(owner: User) -> bool:
    return User.objects.never_completed().filter(pk=owner.pk).exists()


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except (ValueError, AttributeError, TypeError):
        raise InvalidMail(f"{text!r} is no id: it must be a UUID.") from None


def _message(user: User, subject: Promise, template: str, context: Mapping[str, object], *, to: str = "") -> Message:
    """Return a message in the user's language, to the user's address or to another one of theirs.

    Only a verified user's name is used: else anyone could have us mail anything to anybody, as their "name".
    """
    name = user.name if user.is_verified else ""
    email = to or user.email
    return Message(
        to=addresses.parse(email, name),
        subject=subject,
        template=f"accounts/messages/{template}",
        context={"name": name, "email": email, **context},
        language=user.language or settings.LANGUAGE_CODE,
    )
