"""Moving to another address."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.links import EMAIL_CHANGE
from accounts.models import EmailChange, User
from accounts.services import AddressTaken
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


def open_link(client: Client, user: User, mailbox: Mailbox) -> str:
    """Have a change asked for by whoever knows the password, and return the link that was mailed to the new address."""
    request_change(client, user)
    return link_in(mailbox.receive()[0])


def by_mailed_link(user: User, mailbox: Mailbox) -> None:
    Client().post(reverse("accounts:password-reset"), {"email": user.email})
    Client().post(mailbox.receive_link(), {"password": "even more harmless 43"})


def on_the_account_page(user: User, mailbox: Mailbox) -> None:
    browser = Client()
    browser.force_login(user)
    form = {"current_password": PASSWORD, "password": "even more harmless 43"}
    browser.post(reverse("accounts:password-change"), form)


def in_the_admin(user: User, mailbox: Mailbox) -> None:
    browser = Client()
    browser.force_login(User.objects.create_superuser("root@example.com"))
    form = {"password1": "even more harmless 43", "password2": "even more harmless 43", "usable_password": "true"}
    browser.post(reverse("admin:auth_user_password_change", args=[user.pk]), form)


def in_a_shell(user: User, mailbox: Mailbox) -> None:
    user.set_password("even more harmless 43")
    user.save()


def in_one_statement(user: User, mailbox: Mailbox) -> None:
    User.objects.filter(pk=user.pk).update(password=make_password("even more harmless 43"))


def closing_and_opening(user: User, mailbox: Mailbox) -> None:
    for active in (False, True):
        user.is_active = active
        user.save()


def closing_and_opening_in_statements(user: User, mailbox: Mailbox) -> None:
    for active in (False, True):
        User.objects.filter(pk=user.pk).update(is_active=active)


def moving_elsewhere_and_back(user: User, mailbox: Mailbox) -> None:
    for email in ("alice@elsewhere.example", "alice@example.com"):
        user.email = email
        user.save()


@pytest.mark.parametrize(
    "end",
    [
        by_mailed_link,
        on_the_account_page,
        in_the_admin,
        in_a_shell,
        in_one_statement,
        closing_and_opening,
        closing_and_opening_in_statements,
        moving_elsewhere_and_back,
    ],
)
def test_no_open_change_outlives_the_credentials_it_was_asked_for_with(
    end: Callable[[User, Mailbox], None], client: Client, alice: User, mailbox: Mailbox
) -> None:
    link = open_link(client, alice, mailbox)
    end(alice, mailbox)
    for answer in (Client().get(link), Client().post(link)):
        assert answer.status_code == 410
    alice.refresh_from_db()
    assert alice.email == "alice@example.com"


def test_what_was_given_up_no_longer_waits_on_the_account_page(client: Client, alice: User, mailbox: Mailbox) -> None:
    open_link(client, alice, mailbox)
    on_the_account_page(alice, mailbox)
    alice.refresh_from_db()
    browser = Client()
    browser.force_login(alice)
    assert NEW not in browser.get(ACCOUNT).content.decode()
    assert not EmailChange.objects.exists()


def test_a_message_about_a_change_that_a_new_password_ended_is_not_sent(
    client: Client, alice: User, mailbox: Mailbox
) -> None:
    request_change(client, alice)
    on_the_account_page(alice, mailbox)
    assert [mail.message["Subject"] for mail in mailbox.receive()] == ["Your password was changed"]
    assert "ended by a new password" in mailbox.cancelled[0]


def test_a_sign_up_that_nobody_completed_does_not_keep_an_address_from_its_owner(
    client: Client, alice: User, mailbox: Mailbox
) -> None:
    Client().post(reverse("accounts:sign-up"), {"email": NEW})
    mailbox.receive()
    link = open_link(client, alice, mailbox)
    assert link.startswith("/confirm-email/")
    assert Client().post(link).status_code == 302
    assert User.objects.get(email=NEW) == alice


@pytest.mark.parametrize("holder", [{"is_staff": True}, {"is_active": False}, {"is_superuser": True}])
def test_an_invited_member_of_staff_and_somebody_shut_out_keep_theirs(
    client: Client, alice: User, mailbox: Mailbox, holder: dict[str, Any]
) -> None:
    kept = User.objects.create_user(NEW, **holder)
    token = EMAIL_CHANGE.url(services.request_email_change(alice, NEW)).rstrip("/").rpartition("/")[2]
    with pytest.raises(AddressTaken):
        services.confirm_email_change(token)
    assert User.objects.get(email=NEW) == kept
