"""The user model."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from accounts.models import EmailChange, User
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db


def test_an_address_is_stored_and_found_in_one_spelling() -> None:
    user = User.objects.create_user("Jane.Doe@EXÄMPLE.com")
    assert user.email == "jane.doe@exämple.com"
    assert User.objects.get(email="JANE.DOE@xn--exmple-cua.com") == user
    assert User.objects.filter(email__in=["jane.doe@Exämple.com", "no address"]).get() == user


@pytest.mark.parametrize("email", ["alice@example.com", "Alice@Example.COM"])
def test_an_address_has_one_account(alice: User, email: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user(email)


def test_a_user_needs_an_address() -> None:
    with pytest.raises(ValueError, match="needs an email address; got none"):
        User.objects.create_user("")


def test_a_user_is_called_by_name_or_by_mailbox(alice: User, bob: User) -> None:
    assert (alice.get_short_name(), bob.get_short_name()) == ("Alice", "bob")
    assert (alice.get_full_name(), bob.get_full_name()) == ("Alice", "bob@example.com")


def test_createsuperuser_makes_an_administrator_who_can_log_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", "--email", "root@example.com", verbosity=0)
    root = User.objects.get()
    assert (root.is_staff, root.is_superuser, root.is_verified) == (True, True, True)
    assert root.check_password(PASSWORD)


def test_a_user_has_one_open_change_of_address(alice: User) -> None:
    EmailChange.objects.create(user=alice, old_email=alice.email, new_email="a@new.example")
    with pytest.raises(IntegrityError), transaction.atomic():
        EmailChange.objects.create(user=alice, old_email=alice.email, new_email="b@new.example")
