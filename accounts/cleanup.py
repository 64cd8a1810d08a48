"""What of this app goes once its time is over: sessions, sign-ups nobody completed, moves nobody confirmed."""

from datetime import datetime, timedelta

from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from accounts import links
from accounts.models import EmailChange, User
from jobs import register_cleaner

#: After its last link expired, in which the owner may still ask for another one.
GRACE = timedelta(days=7)
#: A move of address is on record so long.
RECORD = timedelta(days=365)


def register() -> None:
    """Have these cleaned. Called once, at start."""
    register_cleaner("expired sessions", lambda limit: delete_sessions(timezone.now(), limit))
    register_cleaner("unverified accounts", lambda limit: delete_unverified(timezone.now(), limit))
    register_cleaner("old email changes", lambda limit: delete_email_changes(timezone.now(), limit))


def delete_sessions(now: datetime, limit: int) -> int:
    """Delete sessions that nobody can use any more."""
    expired = Session.objects.filter(expire_date__lt=now).order_by("expire_date").values_list("pk", flat=True)
    return Session.objects.filter(pk__in=list(expired[:limit]), expire_date__lt=now).delete()[0]


def delete_unverified(now: datetime, limit: int) -> int:
    """Delete accounts whose address was never confirmed; they never had a password, so nothing of anybody's is lost."""
    unused = User.objects.never_completed().filter(joined_at__lt=now - links.VERIFICATION.lifetime - GRACE)
    found = list(unused.order_by("joined_at").values_list("pk", flat=True)[:limit])
    # The condition again: one of them may have been completed since.
    unused.filter(pk__in=found).delete()
    return len(found)


def delete_email_changes(now: datetime, limit: int) -> int:
    """Delete moves whose link has expired, and the records of old ones."""
    over = EmailChange.objects.filter(
        Q(confirmed_at=None, requested_at__lt=now - links.EMAIL_CHANGE.lifetime) | Q(confirmed_at__lt=now - RECORD)
    )
    found = list(over.order_by("requested_at").values_list("pk", flat=True)[:limit])
    over.filter(pk__in=found).delete()
    return len(found)
