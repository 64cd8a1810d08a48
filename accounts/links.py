"""The links we mail: signed, expiring, and good for one use.

A link names its subject (a user, a change of address) and is signed together with the subject's *state*: the values
that using the link will change, and the credentials under which it was made. So a used link no longer fits, nor one
from before a new password or a closed account (`User.revocations` counts both, so a way back does not revive it).
Nothing has to be stored or cleaned up, and a link that is mailed twice still works only once. Links are made while the
mail is written and exist nowhere else.
"""

import binascii
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from django.conf import settings
from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.translation import ngettext

from accounts.models import EmailChange, User

T = TypeVar("T", User, EmailChange)


class LinkError(Exception):
    """Raised for a link that cannot be used (any more); the message says why, to whoever followed it."""


@dataclass(frozen=True, slots=True)
class Purpose(Generic[T]):
    """What a kind of link is for.

    Attributes:
        name: the URL pattern it leads to, in this app; links of one purpose never pass for another.
        lifetime: how long it works.
        load: finds the subject by its id; raises DoesNotExist.
        state: the subject's values that end the link's life when they change.
    """

    name: str
    lifetime: timedelta
    load: Callable[[uuid.UUID], T]
    state: Callable[[T], tuple[object, ...]]

    def url(self, subject: T) -> str:
        """Return a new link for `subject`, complete with host."""
        token = self._signer(subject).sign(_short(subject.pk))
        return page(self.name, token)

    def open(self, token: str) -> T:
        """Return the subject of a link. Raises LinkError unless it is genuine, unused and in time."""
        try:
            subject = self.load(_long(token.partition(".")[0]))
            self._signer(subject).unsign(token, max_age=self.lifetime)
        except SignatureExpired as exc:
            raise LinkError(f"This link worked for {self.lifetime_in_words}, and that time is over.") from exc
        except (
            User.DoesNotExist,
            EmailChange.DoesNotExist,
            BadSignature,
            ValueError,
        ) as exc:
            raise LinkError(
                "This link has been used already, was replaced by a newer one, or was not copied completely."
            ) from exc
        return subject

    @property
    def lifetime_in_words(self) -> str:
        """How long a link works, in the language active where it is shown."""
        return _in_words(self.lifetime)

    def _signer(self, subject: T) -> TimestampSigner:
        # A part of the key rather than of the text: the state stays out of the link, and Django compares in
        # constant time and tries SECRET_KEY_FALLBACKS.
        return TimestampSigner(sep=".", salt=f"accounts.links.{self.name}:{self.state(subject)!r}")


def _credentials(user: User) -> tuple[object, ...]:
    return user.email, user.password, user.revocations


VERIFICATION: Purpose[User] = Purpose(
    name="verify",
    lifetime=timedelta(days=3),
    load=lambda user_id: User.objects.get(pk=user_id, is_active=True),
    state=lambda user: (*_credentials(user), user.is_verified),
)

PASSWORD_RESET: Purpose[User] = Purpose(
    name="password-reset-confirm",
    lifetime=timedelta(hours=1),
    load=lambda user_id: User.objects.get(pk=user_id, is_active=True),
    state=lambda user: (*_credentials(user), user.last_login and user.last_login.timestamp()),
)

EMAIL_CHANGE: Purpose[EmailChange] = Purpose(
    name="email-change-confirm",
    lifetime=timedelta(days=1),
    load=lambda change_id: EmailChange.objects.select_related("user").get(pk=change_id, user__is_active=True),
    state=lambda change: (
        *_credentials(change.user),
        change.old_email,
        change.new_email,
        change.confirmed_at is not None,
    ),
)


def page(name: str, *arguments: str) -> str:
    """Return the whole address of one of this app's pages, as a mail needs it."""
    return settings.FRONTEND_HOST.rstrip("/") + reverse(f"accounts:{name}", args=arguments)


def _words(duration: timedelta) -> str:
    hours = int(duration.total_seconds()) // 3600
    if hours % 24:
        return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
    return ngettext("%(count)d day", "%(count)d days", hours // 24) % {"count": hours // 24}


_in_words = lazy(_words, str)


def _short(value: uuid.UUID) -> str:
    return urlsafe_b64encode(value.bytes).decode("ascii").rstrip("=")


def _long(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(bytes=urlsafe_b64decode(text + "=="))
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise ValueError(text) from exc
