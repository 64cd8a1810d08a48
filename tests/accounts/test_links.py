"""The links we mail."""

from datetime import timedelta

import pytest
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from hypothesis import given, strategies as st

from accounts import links, services
from accounts.links import EMAIL_CHANGE, PASSWORD_RESET, VERIFICATION, LinkError, Purpose
from accounts.models import User
from tests.accounts.clock import Clock
from tests.cast import PASSWORD

pytestmark = pytest.mark.django_db
USED = "has been used already, was replaced by a newer one, or was not copied completely"


def token_of(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


def test_a_link_leads_to_the_site_and_opens_what_it_was_made_for(alice: User) -> None:
    url = PASSWORD_RESET.url(alice)
    assert url.startswith("http://testserver/password-reset/")
    assert PASSWORD_RESET.open(token_of(url)) == alice


def test_a_link_says_nothing_about_its_user(alice: User) -> None:
    url = PASSWORD_RESET.url(alice)
    assert alice.email not in url
    assert alice.password not in url


def test_a_link_ends_with_its_lifetime(alice: User, clock: Clock) -> None:
    token = token_of(PASSWORD_RESET.url(alice))
    clock.advance(timedelta(minutes=59))
    PASSWORD_RESET.open(token)
    clock.advance(timedelta(minutes=2))
    with pytest.raises(LinkError, match="This link worked for 1 hour, and that time is over"):
        PASSWORD_RESET.open(token)


def test_a_link_serves_one_purpose(alice: User) -> None:
    with pytest.raises(LinkError):
        VERIFICATION.open(token_of(PASSWORD_RESET.url(alice)))


@pytest.mark.parametrize(
    "change", [{"password": "other"}, {"email": "other@example.com"}, {"last_login": timezone.now()}]
)
def test_a_reset_link_ends_when_what_it_was_made_for_changes(alice: User, change: dict[str, object]) -> None:
    token = token_of(PASSWORD_RESET.url(alice))
    User.objects.update(**change)
    with pytest.raises(LinkError, match=USED):
        PASSWORD_RESET.open(token)


def test_a_verification_link_ends_when_it_was_used(bob: User) -> None:
    first, second = (token_of(VERIFICATION.url(bob)) for _ in range(2))
    services.complete_sign_up(first, password=PASSWORD)
    for token in (first, second):
        with pytest.raises(LinkError, match=USED):
            services.complete_sign_up(token, password="another one 42")
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


def test_an_email_change_link_ends_with_a_newer_request(alice: User) -> None:
    token = token_of(EMAIL_CHANGE.url(services.request_email_change(alice, "new@example.com")))
    services.request_email_change(alice, "newer@example.com")
    with pytest.raises(LinkError, match=USED):
        EMAIL_CHANGE.open(token)


def test_no_link_works_for_a_closed_account(alice: User) -> None:
    token = token_of(PASSWORD_RESET.url(alice))
    User.objects.update(is_active=False)
    with pytest.raises(LinkError):
        PASSWORD_RESET.open(token)


@pytest.mark.parametrize("purpose", [PASSWORD_RESET, VERIFICATION])
def test_a_link_from_before_an_account_was_closed_stays_dead_when_it_is_opened_again(
    purpose: Purpose[User], alice: User
) -> None:
    token = token_of(purpose.url(alice))
    for active in (False, True):
        alice.is_active = active
        alice.save()
    with pytest.raises(LinkError, match=USED):
        purpose.open(token)


def test_a_link_survives_a_change_of_the_secret_key_that_keeps_the_old_one(alice: User) -> None:
    token = token_of(PASSWORD_RESET.url(alice))
    with override_settings(SECRET_KEY="a new key", SECRET_KEY_FALLBACKS=["a-key-for-tests-only"]):
        assert PASSWORD_RESET.open(token) == alice
    with override_settings(SECRET_KEY="a new key"), pytest.raises(LinkError):
        PASSWORD_RESET.open(token)


@given(data=st.data())
def test_no_changed_character_goes_unnoticed(data: st.DataObject) -> None:
    user = User(email="alice@example.com", password="x")
    purpose = links.Purpose("verify", timedelta(days=1), lambda _: user, VERIFICATION.state)
    token = token_of(purpose.url(user))
    at = data.draw(st.integers(token.index(".") + 1, len(token) - 2))
    other = data.draw(st.characters(codec="ascii").filter(lambda sign: sign != token[at]))
    with pytest.raises(LinkError):
        purpose.open(token[:at] + other + token[at + 1 :])


@given(st.text(max_size=100))
def test_no_text_opens_anything_or_breaks(text: str) -> None:
    user = User(email="alice@example.com", password="x")
    purpose = links.Purpose("verify", timedelta(days=1), lambda _: user, VERIFICATION.state)
    with pytest.raises(LinkError):
        purpose.open(text)


@pytest.mark.parametrize("page", ["verify", "password-reset-confirm", "email-change-confirm"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_bad_link_answers_410_and_says_what_to_do(client: Client, page: str, method: str) -> None:
    answer = getattr(client, method)(reverse(f"accounts:{page}", args=["nonsense"]), {"password": PASSWORD})
    assert answer.status_code == 410
    assert USED in answer.content.decode()
    assert "Get a new link" in answer.content.decode()


@pytest.mark.parametrize("method", ["get", "head"])
def test_looking_at_a_link_does_not_use_it_up(client: Client, bob: User, method: str) -> None:
    path = reverse("accounts:verify", args=[token_of(VERIFICATION.url(bob))])
    for _ in range(3):
        assert getattr(client, method)(path).status_code == 200
    bob.refresh_from_db()
    assert not bob.is_verified
    assert client.post(path, {"password": PASSWORD}).status_code == 302


def test_pages_with_a_link_in_their_address_are_not_cached_and_tell_no_other_site(client: Client, bob: User) -> None:
    answer = client.get(reverse("accounts:verify", args=[token_of(VERIFICATION.url(bob))]))
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "same-origin"
