"""Limits on guessing and on mails."""

from datetime import timedelta
from itertools import cycle, islice

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from accounts.throttle import LOG_IN as LOG_IN_THROTTLE, MAIL, Limit, Throttle
from jobs.models import Job
from tests.accounts.clock import Clock
from tests.cast import PASSWORD
from tests.servers import Valkey

SIGN_UP, LOG_IN = reverse("accounts:sign-up"), reverse("accounts:log-in")


@pytest.fixture(autouse=True)
def _in_one_window(clock: Clock) -> None:
    """Lest a window end between two attempts."""


def waits(throttle: Throttle, network: str, address: str) -> bool:
    return throttle.seconds_to_wait(RequestFactory().get("/", REMOTE_ADDR=network), address) > 0


def test_an_address_gets_no_more_mails_than_its_limit(db: None, client: Client) -> None:
    for _ in range(MAIL.by_address.count):
        assert client.post(SIGN_UP, {"email": "dora@example.com"}).status_code == 302
    answer = client.post(SIGN_UP, {"email": "DORA@example.com"})
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 3600
    assert "That was tried too often. Wait " in answer.content.decode()
    assert 'value="DORA@example.com"' in answer.content.decode()
    assert Job.objects.count() == MAIL.by_address.count
    assert client.post(SIGN_UP, {"email": "other@example.com"}).status_code == 302


def test_the_forms_that_send_mail_share_their_limit(db: None, client: Client) -> None:
    pages = cycle(("sign-up", "resend", "password-reset"))
    for page in islice(pages, MAIL.by_address.count):
        client.post(reverse(f"accounts:{page}"), {"email": "dora@example.com"})
    assert client.post(reverse("accounts:password-reset"), {"email": "dora@example.com"}).status_code == 429


def test_after_too_many_guesses_not_even_the_right_password_is_read(client: Client, alice: User) -> None:
    for _ in range(LOG_IN_THROTTLE.by_address.count):
        client.post(LOG_IN, {"username": alice.email, "password": "guess"})
    answer = client.post(LOG_IN, {"username": alice.email, "password": PASSWORD})
    assert answer.status_code == 429
    assert PASSWORD not in answer.content.decode()


def test_nobody_is_locked_out_by_the_guesses_of_others(client: Client, alice: User) -> None:
    for _ in range(LOG_IN_THROTTLE.by_address.count + 1):
        client.post(LOG_IN, {"username": alice.email, "password": "guess"}, REMOTE_ADDR="203.0.113.9")
    assert client.post(LOG_IN, {"username": alice.email, "password": PASSWORD}).status_code == 302


def test_the_window_ends(clock: Clock) -> None:
    throttle = Throttle("test", Limit(100, 60), Limit(1, 60))
    assert not waits(throttle, "203.0.113.9", "a@b.de")
    clock.advance(timedelta(seconds=61))
    assert not waits(throttle, "203.0.113.9", "a@b.de")


def test_one_visitor_may_not_try_address_after_address() -> None:
    throttle = Throttle("test", Limit(3, 10**9), Limit(100, 10**9))
    assert [waits(throttle, "203.0.113.9", f"{number}@b.de") for number in range(4)] == [False, False, False, True]
    assert not waits(throttle, "203.0.113.10", "0@b.de")


def test_an_ipv6_visitor_is_the_whole_network() -> None:
    throttle = Throttle("test", Limit(1, 10**9), Limit(100, 10**9))
    assert not waits(throttle, "2001:db8:1:2::3", "a@b.de")
    assert waits(throttle, "2001:db8:1:2:ffff::4", "a@b.de")
    assert not waits(throttle, "2001:db8:1:3::3", "a@b.de")


@pytest.mark.parametrize("address", ["", "unix:", "not an address"])
def test_a_visitor_without_an_address_is_counted_too(address: str) -> None:
    throttle = Throttle("test", Limit(1, 10**9), Limit(100, 10**9))
    assert [waits(throttle, address, "a@b.de") for _ in range(2)] == [False, True]


def test_no_address_is_readable_in_the_cache(valkey: Valkey) -> None:
    waits(Throttle("test", Limit(1, 60), Limit(1, 60)), "203.0.113.9", "dora@example.com")
    keys = valkey.client.keys("*throttle*")
    assert len(keys) == 2
    assert "dora" not in str(keys)


def test_without_its_cache_nobody_is_kept_out(client: Client, alice: User, valkey: Valkey) -> None:
    valkey.stop()
    for _ in range(12):
        answer = client.post(LOG_IN, {"username": alice.email, "password": PASSWORD})
        assert answer.status_code == 302
