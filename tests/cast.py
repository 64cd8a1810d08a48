"""The people of the tests."""

import pytest
from django.utils import timezone

from accounts.models import User

#: Their common password.
PASSWORD = "mostly harmless 42"  # noqa: S105  Of accounts that live as long as a test.


@pytest.fixture
def alice(db: None) -> User:
    """A user with a verified address."""
    return User.objects.create_user("alice@example.com", PASSWORD, name="Alice", email_verified_at=timezone.now())


@pytest.fixture
def bob(db: None) -> User:
    """Somebody who signed up and has not followed the link yet."""
    return User.objects.create_user("bob@example.com")


@pytest.fixture
def carol(db: None) -> User:
    """A verified user who wants German mails."""
    return User.objects.create_user(
        "carol@example.com", PASSWORD, name="Carol", language="de", email_verified_at=timezone.now()
    )
