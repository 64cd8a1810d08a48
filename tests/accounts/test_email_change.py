"""Moving to another address."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import EmailChange, User
from jobs.models import Job
from tests.accounts.mailbox import Mailbox, link_in, text_of
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
CHANGE, CANCEL, ACCOUNT = (reverse(f"accounts:{page}") for page in ("email-change", "email-change-cancel", "account"))
NEW = "alice@new.example"


def request_change(client: Client, user: User, email: str = NEW) -> None:
    client.force_login(user)
    assert client.post(CHANGE, {"email": email, "current_password": PASSWORD})["Location"] == ACCOUNT


def test_an_address_changes_once_it_is_confirmed_there(client: Client, alice: User, mailbox: Mailbox) -> None:
    request_change(client, alice)
    confirmation, notice = mailbox.receive()
    assert (confirmation.recipients, notice.recipients) == ([NEW], ["alice@example.com"])
    assert confirmation.message["Subject"] == "Confirm your new email address"
    assert notice.message["Subject"] == "Somebody wants to change your email address"
    assert NEW in text_of(notice)

    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
    link = link_in(confirmation)
    assert "Use the new address" in Client().get(link).content.decode()
    Client().post(link)
    alice.refresh_from_db()
    assert alice.email == NEW
    assert alice.is_verified

    (told,) = mailbox.receive()
    assert told.recipients == ["alice@example.com"]
    assert told.message["Subject"] == "Your email address was changed"
    assert NEW in text_of(told)
    assert client.post(link).status_code == 410


def test_the_account_page_shows_what_waits_and_can_give_it_up(client: Client, alice: User, mailbox: Mailbox) -> None:
    request_change(client, alice)
    link = link_in(mailbox.receive()[0])
    assert "waits for its link" in client.get(ACCOUNT).content.decode()
    answer = client.post(CANCEL, follow=True)
    assert "Your address stays as it is." in answer.content.decode()
    assert NEW not in answer.content.decode()
    assert client.post(link).status_code == 410


def test_a_newer_wish_takes_the_place_of_the_last(client: Client, alice: User, mailbox: Mailbox) -> None:
    request_change(client, alice)
    request_change(client, alice, "alice@newer.example")
    assert EmailChange.objects.get().new_email == "alice@newer.example"
    assert [mail.recipients for mail in mailbox.receive()] == [["alice@newer.example"], ["alice@example.com"]]
    assert len(mailbox.cancelled) == 2


def test_the_owner_of_a_taken_address_is_told_and_keeps_it(
    client: Client, alice: User, carol: User, mailbox: Mailbox
) -> None:
    request_change(client, alice, "Carol@example.com")
    told, _ = mailbox.receive()
    assert told.recipients == ["carol@example.com"]
    assert told.message["Subject"] == "Sie haben schon ein Konto"
    assert "/confirm-email/" not in text_of(told)


def test_an_address_taken_before_it_was_confirmed_is_not_given_twice(
    client: Client, alice: User, mailbox: Mailbox
) -> None:
    request_change(client, alice)
    link = link_in(mailbox.receive()[0])
    User.objects.create_user(NEW)
    answer = client.post(link)
    assert answer.status_code == 410
    assert f"Another account has the address {NEW} by now." in answer.content.decode()
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"
    assert EmailChange.objects.get().confirmed_at is None


@pytest.mark.parametrize(
    "form,said",
    [
        ({"email": NEW, "current_password": "wrong"}, "This is not your current password."),
        ({"email": "ALICE@example.com", "current_password": PASSWORD}, "This is your address already."),
        ({"email": "nobody", "current_password": PASSWORD}, "This is not an email address"),
    ],
)
def test_a_refused_wish_keeps_what_was_typed_and_sends_nothing(
    client: Client, alice: User, form: dict[str, str], said: str
) -> None:
    client.force_login(alice)
    page = client.post(CHANGE, form).content.decode()
    assert said in page
    assert f'value="{form["email"]}"' in page
    assert not EmailChange.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.parametrize("page", ["account", "password-change", "email-change", "email-change-cancel"])
def test_strangers_are_sent_to_the_log_in(client: Client, page: str) -> None:
    path = reverse(f"accounts:{page}")
    assert client.post(path)["Location"] == f"{reverse('accounts:log-in')}?next={path}"
