"""Logging in and out."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
LOG_IN, LOG_OUT, ACCOUNT = (reverse(f"accounts:{page}") for page in ("log-in", "log-out", "account"))


@pytest.mark.parametrize("typed", ["alice@example.com", " Alice@EXAMPLE.com "])
def test_an_address_in_any_spelling_and_the_password_log_in(client: Client, alice: User, typed: str) -> None:
    answer = client.post(LOG_IN, {"username": typed, "password": PASSWORD})
    assert answer["Location"] == ACCOUNT
    assert client.get(ACCOUNT).status_code == 200


def test_logging_in_changes_the_sessions_key(client: Client, alice: User) -> None:
    client.post(reverse("accounts:password-reset"), {"email": "x@example.com"})  # Starts a session.
    key = client.session.session_key
    client.post(LOG_IN, {"username": alice.email, "password": PASSWORD})
    assert client.session.session_key != key


def test_it_leads_on_to_where_one_wanted_to_go_on_this_site_only(client: Client, alice: User) -> None:
    form = {"username": alice.email, "password": PASSWORD}
    assert client.post(LOG_IN, {**form, "next": "/account/email/"})["Location"] == "/account/email/"
    assert Client().post(LOG_IN, {**form, "next": "https://evil.example/"})["Location"] == ACCOUNT


def test_a_wrong_password_keeps_the_address_and_not_the_password(client: Client, alice: User) -> None:
    page = client.post(LOG_IN, {"username": alice.email, "password": "wr0ng"}).content.decode()
    assert "This address and password do not match." in page
    assert 'value="alice@example.com"' in page
    assert "wr0ng" not in page


def test_a_closed_account_stays_closed(client: Client, alice: User) -> None:
    User.objects.update(is_active=False)
    page = client.post(LOG_IN, {"username": alice.email, "password": PASSWORD}).content.decode()
    assert "This address and password do not match." in page


def test_logging_out_takes_a_post(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get(LOG_OUT).status_code == 405
    assert client.post(LOG_OUT)["Location"] == "/"
    assert client.get(ACCOUNT).status_code == 302


def test_the_admin_changes_passwords_where_a_notice_is_sent(client: Client) -> None:
    assert client.get(reverse("admin:password_change"))["Location"] == reverse("accounts:password-change")


def test_the_admin_uses_this_log_in(client: Client, alice: User) -> None:
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith(LOG_IN)


def test_a_member_who_may_not_use_the_admin_can_log_in_as_somebody_who_may(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.get("/admin/", follow=True)
    assert "You are logged in as alice@example.com, which may not see the page" in answer.content.decode()
    root = User.objects.create_superuser("root@example.com", PASSWORD)
    answer = client.post(answer.request["PATH_INFO"] + "?next=/admin/", {"username": root.email, "password": PASSWORD})
    assert answer["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_whoever_may_use_the_admin_does_not_stay_at_its_log_in(client: Client, db: None) -> None:
    client.force_login(User.objects.create_superuser("root@example.com"))
    assert client.get(reverse("admin:login"))["Location"] == "/admin/"
    assert client.get(reverse("admin:login") + "?next=https://evil.example/")["Location"] == "/admin/"
