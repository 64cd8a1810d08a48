"""Whoever's address or password changes is told, and logged out where that ends what was open, whatever the path."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.links import PASSWORD_RESET
from accounts.models import EmailChange, User
from jobs.enqueue.dispatcher import flush
from jobs.models import Job
from tests.accounts.mailbox import Mailbox, text_of
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
NEW = "even more harmless 43"
ACCOUNT = reverse("accounts:account")


def in_the_admin(user: User) -> None:
    form = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    administrator().post(reverse("admin:auth_user_password_change", args=[user.pk]), form)


def switched_off_in_the_admin(user: User) -> None:
    administrator().post(
        reverse("admin:auth_user_password_change", args=[user.pk]),
        {"password1": "", "password2": "", "usable_password": "false", "unset-password": "1"},
    )


def by_the_command(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda **_: NEW)
    call_command("changepassword", user.email, verbosity=0)


def administrator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root@example.com"))
    return client


@pytest.mark.parametrize("change", [in_the_admin, switched_off_in_the_admin])
def test_a_password_changed_in_the_admin_is_told_to_its_owner(
    change: Callable[[User], None], alice: User, mailbox: Mailbox
) -> None:
    change(alice)
    notice = mailbox.receive_one()
    assert notice.recipients == ["alice@example.com"]
    assert notice.message["Subject"] == "Your password was changed"


def test_a_password_changed_by_a_management_command_is_told_to_its_owner(
    alice: User, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_the_command(alice, monkeypatch)
    assert mailbox.receive_one().message["Subject"] == "Your password was changed"
    alice.refresh_from_db()
    assert alice.check_password(NEW)


@pytest.mark.parametrize("fields", [None, ["email"], ["email", "name"]])
def test_an_address_changed_by_any_code_is_told_to_the_old_one(
    alice: User, mailbox: Mailbox, fields: list[str] | None
) -> None:
    alice.email = "alice@new.example"
    alice.save(update_fields=fields)
    notice = mailbox.receive_one()
    assert notice.recipients == ["alice@example.com"]
    assert notice.message["Subject"] == "Your email address was changed"
    assert "alice@new.example" in text_of(notice)


def test_what_is_changed_in_one_statement_is_told_to_everybody_it_concerns(
    alice: User, bob: User, carol: User, mailbox: Mailbox
) -> None:
    User.objects.order_by("email").update(password=make_password(NEW))
    User.objects.filter(name="Alice").update(email="alice@new.example")
    told = sorted((mail.recipients[0], str(mail.message["Subject"])) for mail in mailbox.receive())
    assert told == [
        ("alice@example.com", "Your email address was changed"),
        ("alice@example.com", "Your password was changed"),
        ("carol@example.com", "Ihr Passwort wurde geändert"),
    ]
    assert EmailChange.objects.get().new_email == "alice@new.example"


def test_what_is_changed_in_bulk_is_told_too(alice: User, carol: User, mailbox: Mailbox) -> None:
    alice.email, carol.email = "alice@new.example", carol.email
    User.objects.bulk_update([alice, carol], ["email"])
    assert mailbox.receive_one().recipients == ["alice@example.com"]


def test_an_address_changed_in_the_admin_is_told_to_the_old_one_and_put_on_record(
    alice: User, mailbox: Mailbox
) -> None:
    form = {"email": "Alice@New.Example", "name": "Alice", "language": "", "is_active": "on"}
    assert administrator().post(reverse("admin:accounts_user_change", args=[alice.pk]), form).status_code == 302
    assert mailbox.receive_one().recipients == ["alice@example.com"]
    record = EmailChange.objects.get()
    assert (record.old_email, record.new_email) == ("alice@example.com", "alice@new.example")
    assert record.confirmed_at is not None


def test_a_new_password_is_told_to_the_address_of_that_time_wherever_the_account_moves_then(
    alice: User, mailbox: Mailbox
) -> None:
    alice.set_password(NEW)
    alice.save()
    for email in ("thief@one.example", "thief@two.example"):
        alice.email = email
        alice.save()
    told = [(mail.message["Subject"], *mail.recipients) for mail in mailbox.receive()]
    assert told == [
        ("Your password was changed", "alice@example.com"),
        ("Your email address was changed", "alice@example.com"),
        ("Your email address was changed", "thief@one.example"),
    ]


def test_who_loses_address_and_password_at_once_is_told_of_both(alice: User, mailbox: Mailbox) -> None:
    alice.set_password(NEW)
    alice.email = "thief@one.example"
    alice.save()
    assert [mail.recipients for mail in mailbox.receive()] == [["alice@example.com"]] * 2


@pytest.mark.parametrize("email", ["alice@example.com", "Alice@EXAMPLE.com"])
def test_what_stays_the_same_is_not_told(alice: User, email: str) -> None:
    alice.email, alice.name = email, "Alicia"
    alice.save()
    assert not Job.objects.filter(task="mail.send").exists()
    assert not EmailChange.objects.exists()


def test_who_never_had_a_way_in_is_told_nothing(bob: User) -> None:
    bob.set_unusable_password()
    bob.email = "robert@example.com"
    bob.save()
    assert not Job.objects.filter(task="mail.send").exists()


def test_an_account_that_was_closed_and_opened_again_has_no_sessions(client: Client, alice: User) -> None:
    client.force_login(alice)
    for active in (False, True):
        alice.is_active = active
        alice.save()
    assert client.get(ACCOUNT).status_code == 302


def test_sessions_survive_a_change_of_the_secret_key_that_keeps_the_old_one(
    client: Client, alice: User, settings: Settings
) -> None:
    client.force_login(alice)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key for tests only"  # noqa: S105  Of this test alone.
    assert client.get(ACCOUNT).status_code == 200


def test_a_password_hashed_anew_at_a_log_in_is_the_same_password(
    client: Client, alice: User, settings: Settings
) -> None:
    before = alice.password
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", *settings.PASSWORD_HASHERS]
    client.post(reverse("accounts:log-in"), {"username": alice.email, "password": PASSWORD})
    assert client.get(ACCOUNT).status_code == 200
    alice.refresh_from_db()
    assert alice.password != before
    assert alice.revocations == 0
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_clicks_on_a_link_at_the_same_moment_one_counts(alice: User) -> None:
    link = PASSWORD_RESET.url(alice).removeprefix("http://testserver")

    def click(password: str) -> int:
        try:
            return Client().post(link, {"password": password}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as both:
        answers = sorted(both.map(click, ("the first one 43", "the second one 44")))
    flush()
    assert answers == [302, 410]
