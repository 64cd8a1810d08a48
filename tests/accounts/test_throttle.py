"""Limits on guessing and on mails."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle, islice

import pytest
from django.contrib.auth.forms import AuthenticationForm
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.forms import CurrentPasswordMixin
from accounts.links import PASSWORD_RESET
from accounts.models import User
from accounts.throttle import INBOX, LOG_IN as LOG_IN_THROTTLE, MAIL, Limit, Throttle
from accounts.views.pages import FormPage
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


def admins_form(client: Client, password: str) -> int:
    return client.post(reverse("admin:login"), {"username": "alice@example.com", "password": password}).status_code


def new_password(client: Client, password: str) -> int:
    form = {"current_password": password, "password": "even more harmless 43"}
    return client.post(reverse("accounts:password-change"), form).status_code


def new_address(client: Client, password: str) -> int:
    form = {"current_password": password, "email": "alice@new.example"}
    return client.post(reverse("accounts:email-change"), form).status_code


def log_in(client: Client, password: str) -> int:
    return Client().post(LOG_IN, {"username": "alice@example.com", "password": password}).status_code


PLACES = [admins_form, new_password, new_address, log_in]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_where_a_password_is_tried_counts(
    place: Callable[[Client, str], int], client: Client, alice: User
) -> None:
    client.force_login(alice)
    assert [place(client, "guess") for _ in range(LOG_IN_THROTTLE.by_address.count)] == [200] * 10
    assert place(client, PASSWORD) == 429


def test_all_places_where_a_password_is_tried_count_together(client: Client, alice: User) -> None:
    client.force_login(alice)
    for place in islice(cycle(PLACES), LOG_IN_THROTTLE.by_address.count):
        place(client, "guess")
    assert [place(client, PASSWORD) for place in PLACES] == [429] * len(PLACES)


def test_a_member_may_try_other_peoples_passwords_in_the_admin_no_oftener_than_elsewhere(
    client: Client, alice: User, carol: User
) -> None:
    client.force_login(carol)
    for _ in range(LOG_IN_THROTTLE.by_address.count):
        assert admins_form(client, "guess") == 200
    assert admins_form(client, PASSWORD) == 429
    assert log_in(client, PASSWORD) == 429


def test_no_form_that_asks_for_a_password_goes_without_its_throttle() -> None:
    asking = [page for page in pages(FormPage) if asks_for_a_password(page.form_class)]
    assert {page.__name__ for page in asking} >= {"LogIn", "AdminLogIn"}
    assert [page for page in asking if page.throttle is not LOG_IN_THROTTLE] == []


def pages(base: type[FormPage]) -> Iterator[type[FormPage]]:
    for page in base.__subclasses__():
        yield page
        yield from pages(page)


def asks_for_a_password(form: type | None) -> bool:
    return form is not None and issubclass(form, AuthenticationForm | CurrentPasswordMixin)


@pytest.mark.parametrize("page", ["password-reset", "resend", "sign-up"])
def test_no_message_is_denied_to_somebody_by_what_others_ask_for(
    db: None, client: Client, alice: User, page: str
) -> None:
    path = reverse(f"accounts:{page}")
    for _ in range(MAIL.by_address.count + 1):
        client.post(path, {"email": alice.email}, REMOTE_ADDR="203.0.113.9")
    before = Job.objects.count()
    assert client.post(path, {"email": alice.email}).status_code == 302
    assert Job.objects.count() == before + 1


def test_many_visitors_together_do_not_fill_an_inbox_and_learn_nothing(
    db: None, client: Client, alice: User, clock: Clock
) -> None:
    path = reverse("accounts:password-reset")

    def ask(email: str) -> list[int]:
        return [
            client.post(path, {"email": email}, REMOTE_ADDR=f"203.0.113.{host}").status_code
            for host in range(INBOX.count + 5)
        ]

    assert ask(alice.email) == ask("nobody@example.com") == [302] * (INBOX.count + 5)
    assert Job.objects.count() == 2 * INBOX.count
    clock.advance(timedelta(seconds=INBOX.seconds))
    client.post(path, {"email": alice.email})
    assert Job.objects.count() == 2 * INBOX.count + 1


def test_a_full_inbox_has_a_link_that_still_works() -> None:
    assert 2 * timedelta(seconds=INBOX.seconds) < PASSWORD_RESET.lifetime


def test_messages_of_another_kind_do_not_stand_in_for_a_link_to_a_new_password(
    db: None, client: Client, alice: User
) -> None:
    for host in range(INBOX.count + 1):
        client.post(SIGN_UP, {"email": alice.email}, REMOTE_ADDR=f"203.0.113.{host}")
    client.post(reverse("accounts:password-reset"), {"email": alice.email})
    assert Job.objects.filter(kwargs__kind="password_reset").count() == 1


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


def test_ipv4_visitors_of_a_socket_for_both_kinds_are_told_apart() -> None:
    throttle = Throttle("test", Limit(1, 10**9), Limit(100, 10**9))
    assert not waits(throttle, "::ffff:203.0.113.9", "a@b.de")
    assert not waits(throttle, "::ffff:203.0.113.10", "a@b.de")
    assert waits(throttle, "203.0.113.9", "a@b.de")


@pytest.mark.parametrize("address", ["", "unix:", "not an address", "fe80::1%eth0"])
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
