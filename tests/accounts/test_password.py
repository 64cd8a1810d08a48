"""Forgotten and changed passwords."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from jobs.models import Job
from tests.accounts.mailbox import Mailbox, link_in, text_of
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
RESET, CHANGE, ACCOUNT = (reverse(f"accounts:{page}") for page in ("password-reset", "password-change", "account"))
NEW = "even more harmless 43"


def is_logged_in(client: Client) -> bool:
    return client.get(ACCOUNT).status_code == 200


def test_a_forgotten_password_is_replaced_by_a_mailed_link(client: Client, alice: User, mailbox: Mailbox) -> None:
    client.post(RESET, {"email": "Alice@example.com"})
    mail = mailbox.receive_one()
    assert mail.message["Subject"] == "Choose a new password"
    assert mail.message["To"] == "Alice <alice@example.com>"
    assert client.post(link_in(mail), {"password": NEW})["Location"] == reverse("accounts:log-in")
    alice.refresh_from_db()
    assert alice.check_password(NEW)
    assert client.post(link_in(mail), {"password": "a third one 44"}).status_code == 410


def test_a_reset_ends_every_session_and_the_owner_is_told(client: Client, alice: User, mailbox: Mailbox) -> None:
    elsewhere = Client()
    elsewhere.force_login(alice)
    client.post(RESET, {"email": alice.email})
    client.post(mailbox.receive_link(), {"password": NEW})
    assert not is_logged_in(elsewhere)
    notice = mailbox.receive_one()
    assert notice.message["Subject"] == "Your password was changed"
    assert "alice@example.com" in text_of(notice)


def test_who_forgot_to_follow_the_first_link_gets_that_one(client: Client, bob: User, mailbox: Mailbox) -> None:
    client.post(RESET, {"email": bob.email})
    assert mailbox.receive_link().startswith("/verify/")


def test_a_weak_new_password_is_refused_and_the_link_still_works(client: Client, alice: User, mailbox: Mailbox) -> None:
    client.post(RESET, {"email": alice.email})
    link = mailbox.receive_link()
    assert "too short" in client.post(link, {"password": "x"}).content.decode()
    assert client.post(link, {"password": NEW}).status_code == 302


def test_a_change_ends_every_other_session_and_the_owner_is_told(client: Client, alice: User, mailbox: Mailbox) -> None:
    elsewhere = Client()
    for browser in (client, elsewhere):
        browser.force_login(alice)
    key = client.session.session_key
    answer = client.post(CHANGE, {"current_password": PASSWORD, "password": NEW}, follow=True)
    assert "Everywhere else you are logged out." in answer.content.decode()
    assert is_logged_in(client)
    assert client.session.session_key != key
    assert not is_logged_in(elsewhere)
    assert mailbox.receive_one().message["Subject"] == "Your password was changed"


def test_a_change_needs_the_current_password(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.post(CHANGE, {"current_password": "wrong", "password": NEW})
    assert "This is not your current password." in answer.content.decode()
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)
    assert not Job.objects.exists()


def test_passwords_are_never_written_back_into_a_page(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.post(CHANGE, {"current_password": "wr0ng secret", "password": "x7"})
    assert "wr0ng secret" not in answer.content.decode()


def test_a_german_reader_gets_german_mails(client: Client, carol: User, mailbox: Mailbox) -> None:
    client.post(RESET, {"email": carol.email})
    mail = mailbox.receive_one()
    assert mail.message["Subject"] == "Neues Passwort wählen"
    assert "innerhalb von 1 Stunde" in text_of(mail)
