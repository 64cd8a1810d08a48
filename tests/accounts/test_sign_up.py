"""From an address to an account."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.cleanup import delete_unverified
from accounts.models import User
from jobs.models import Job
from tests.accounts.mailbox import Mailbox, link_in, text_of
from tests.cast import PASSWORD

SIGN_UP = reverse("accounts:sign-up")
pytestmark = pytest.mark.django_db


def test_whoever_signs_up_chooses_a_password_at_the_mailed_link_and_is_in(client: Client, mailbox: Mailbox) -> None:
    answer = client.post(SIGN_UP, {"email": "Dora@Example.com"}, follow=True)
    assert "A mail is on its way to <b>dora@example.com</b>" in answer.content.decode()

    mail = mailbox.receive_one()
    assert mail.recipients == ["dora@example.com"]
    assert mail.message["Subject"] == "Confirm your email address"
    assert "within 3 days" in text_of(mail)

    answer = client.post(link_in(mail), {"name": "Dora", "password": PASSWORD}, follow=True)
    assert answer.redirect_chain == [(reverse("accounts:account"), 302)]
    assert "Your address is confirmed and you are logged in." in answer.content.decode()
    dora = User.objects.get(email="dora@example.com")
    assert (dora.is_verified, dora.name, dora.check_password(PASSWORD)) == (True, "Dora", True)


def test_before_the_link_there_is_no_password_to_log_in_with(client: Client) -> None:
    client.post(SIGN_UP, {"email": "dora@example.com"})
    dora = User.objects.get(email="dora@example.com")
    assert not dora.is_verified
    assert not dora.has_usable_password()


def test_no_secret_is_in_the_jobs_arguments(client: Client) -> None:
    client.post(SIGN_UP, {"email": "dora@example.com"})
    assert Job.objects.get().kwargs == {"kind": "verification", "user_id": str(User.objects.get().pk)}


def test_whoever_has_an_account_is_told_so_by_mail_and_keeps_it(client: Client, alice: User, mailbox: Mailbox) -> None:
    client.post(SIGN_UP, {"email": "ALICE@example.com"})
    mail = mailbox.receive_one()
    assert mail.recipients == ["alice@example.com"]
    assert mail.message["Subject"] == "You already have an account"
    assert f"http://testserver{reverse('accounts:password-reset')}" in text_of(mail)
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_signing_up_again_before_following_the_link_mails_it_again(client: Client, bob: User, mailbox: Mailbox) -> None:
    client.post(SIGN_UP, {"email": bob.email})
    assert mailbox.receive_one().message["Subject"] == "Confirm your email address"
    assert User.objects.count() == 1


def test_the_browsers_language_becomes_that_of_the_mails(client: Client, mailbox: Mailbox) -> None:
    client.post(SIGN_UP, {"email": "dora@example.com"}, headers={"Accept-Language": "fr, de-AT;q=0.9, en;q=0.5"})
    mail = mailbox.receive_one()
    assert mail.message["Subject"] == "Bestätigen Sie Ihre E-Mail-Adresse"
    assert mail.message["Content-Language"] == "de"
    assert "innerhalb von 3 Tagen" in text_of(mail)


def test_whoever_signs_up_last_says_in_which_language_the_mails_come(client: Client, mailbox: Mailbox) -> None:
    for language in ("en", "de"):
        client.post(SIGN_UP, {"email": "dora@example.com"}, headers={"Accept-Language": language})
    assert [mail.message["Content-Language"] for mail in mailbox.receive()] == ["de", "de"]


@pytest.mark.parametrize("page", ["sign-up", "resend", "password-reset"])
def test_the_cleanup_leaves_a_sign_up_alone_while_its_newest_link_works(client: Client, bob: User, page: str) -> None:
    User.objects.update(joined_at=timezone.now() - timedelta(days=9))
    client.post(reverse(f"accounts:{page}"), {"email": bob.email})
    assert delete_unverified(timezone.now() + timedelta(days=3), 10) == 0


@pytest.mark.parametrize(
    "email", ["", "dora", "dora@", "dora@example.com\r\nBcc: all@example.com", "x" * 250 + "@b.de"]
)
def test_what_is_no_address_is_refused_inline_and_kept(client: Client, email: str) -> None:
    answer = client.post(SIGN_UP, {"email": email})
    assert answer.status_code == 200
    assert answer.context["form"].errors["email"]
    assert 'aria-invalid="true"' in answer.content.decode()
    assert not User.objects.exists()
    assert not Job.objects.exists()


def test_a_weak_password_is_refused_and_the_link_still_works(client: Client, bob: User, mailbox: Mailbox) -> None:
    client.post(reverse("accounts:resend"), {"email": bob.email})
    link = mailbox.receive_link()
    answer = client.post(link, {"name": "Bob", "password": "password"})
    assert "This password is too common." in answer.content.decode()
    assert 'value="Bob"' in answer.content.decode()
    assert client.post(link, {"name": "Bob", "password": PASSWORD}).status_code == 302


def test_a_password_like_the_address_is_refused(client: Client, mailbox: Mailbox) -> None:
    client.post(SIGN_UP, {"email": "dorothea.schlegel@example.com"})
    answer = client.post(mailbox.receive_link(), {"password": "dorothea.schlegel"})
    assert "too similar to the email address" in answer.content.decode()


def test_a_name_of_two_lines_is_refused(client: Client, mailbox: Mailbox) -> None:
    client.post(SIGN_UP, {"email": "dora@example.com"})
    answer = client.post(mailbox.receive_link(), {"name": "Dora\r\nBcc: all@example.com", "password": PASSWORD})
    assert "A name is one line" in answer.content.decode()


def test_an_account_that_was_closed_meanwhile_gets_no_mail(client: Client, bob: User, mailbox: Mailbox) -> None:
    client.post(SIGN_UP, {"email": bob.email})
    User.objects.update(is_active=False)
    assert not mailbox.receive()
    assert mailbox.cancelled == ["Nobody has this account any more."]


def test_who_is_logged_in_needs_no_sign_up(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(SIGN_UP)["Location"] == reverse("accounts:account")
