"""What of accounts goes in time: sessions, sign-ups nobody completed, moves nobody confirmed."""

from datetime import datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from accounts import cleanup
from accounts.models import EmailChange, User
from jobs.maintenance.cleanup import clean

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def test_expired_sessions_go() -> None:
    Session.objects.create(session_key="old", session_data="", expire_date=days_ago(0.1))
    Session.objects.create(session_key="new", session_data="", expire_date=days_ago(-1))
    assert cleanup.delete_sessions(NOW, 10) == 1
    assert [session.pk for session in Session.objects.all()] == ["new"]


def test_accounts_that_were_never_completed_go_after_their_time() -> None:
    User.objects.create_user("late@example.com", joined_at=days_ago(11))
    kept = [
        User.objects.create_user("young@example.com", joined_at=days_ago(9)),
        User.objects.create_user("verified@example.com", joined_at=days_ago(99), email_verified_at=days_ago(98)),
        User.objects.create_user("staff@example.com", joined_at=days_ago(99), is_staff=True),
        User.objects.create_user("used@example.com", joined_at=days_ago(99), last_login=days_ago(9)),
    ]
    assert cleanup.delete_unverified(NOW, 10) == 1
    assert set(User.objects.all()) == set(kept)


def test_moves_that_nobody_confirmed_and_old_records_go() -> None:
    def change(asked: float, confirmed: float | None) -> EmailChange:
        user = User.objects.create_user(f"{asked}@example.com")
        return EmailChange.objects.create(
            user=user,
            old_email=user.email,
            new_email="new@example.com",
            requested_at=days_ago(asked),
            confirmed_at=None if confirmed is None else days_ago(confirmed),
        )

    change(2, None), change(400, 399)
    kept = {change(0.5, None), change(30, 29)}
    assert cleanup.delete_email_changes(NOW, 10) == 2
    assert set(EmailChange.objects.all()) == kept


def test_batches_are_no_larger_than_asked_for() -> None:
    for number in range(3):
        Session.objects.create(session_key=str(number), session_data="", expire_date=days_ago(1))
    assert cleanup.delete_sessions(NOW, 2) == 2
    assert Session.objects.count() == 1


def test_the_weekly_job_does_all_of_it() -> None:
    assert {"expired sessions", "unverified accounts", "old email changes"} <= clean().keys()
