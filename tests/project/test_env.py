"""The readers of environment variables: what they take, and what they say of the rest."""

import secrets
from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given, strategies as st

from project import env, keys
from tests import forks

Read = Callable[[], object]


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the variable X."""
    return lambda value: monkeypatch.setenv("X", value)


@pytest.mark.parametrize("word", ["1", "true", "YES", "on", " On "])
def test_words_for_yes(variable: Callable[[str], None], word: str) -> None:
    variable(word)
    assert env.boolean("X", default=False) is True


@pytest.mark.parametrize("word", ["0", "false", "NO", "off"])
def test_words_for_no(variable: Callable[[str], None], word: str) -> None:
    variable(word)
    assert env.boolean("X", default=True) is False


@pytest.mark.parametrize(
    "read,expected",
    [
        (lambda: env.text("X", "default"), "default"),
        (lambda: env.boolean("X", default=True), True),
        (lambda: env.integer("X", 7, least=1, most=9), 7),
        (lambda: env.decimal("X", 0.5, least=0, most=1), 0.5),
        (lambda: env.words("X", ["a"]), ["a"]),
        (lambda: env.choice("X", "a", among=("a", "b")), "a"),
        (lambda: env.url("X", "http://a", schemes=("http",)), "http://a"),
        (lambda: env.zone("X", "UTC"), "UTC"),
        (lambda: keys.login("X", ""), ""),
        (lambda: env.networks("X"), ()),
        (lambda: env.durations("X"), {}),
    ],
)
@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_unset(
    variable: Callable[[str], None], read: Read, expected: object, empty: str
) -> None:
    variable(empty)
    assert read() == expected


@pytest.mark.parametrize(
    "read,value,rule",
    [
        (lambda: env.boolean("X", default=True), "maybe", "one of 1, true, yes, on, 0, false, no, off"),
        (lambda: env.integer("X", 7, least=1, most=9), "10", "a whole number from 1 to 9"),
        (lambda: env.integer("X", 7, least=1, most=9), "2.5", "a whole number from 1 to 9"),
        (lambda: env.decimal("X", 0.5, least=0, most=1), "1.01", "a number from 0 to 1"),
        (lambda: env.decimal("X", 0.5, least=0, most=1), "nan", "a number from 0 to 1"),
        (lambda: env.choice("X", "a", among=("a", "b")), "c", "one of a, b"),
        (lambda: env.zone("X", "UTC"), "Mars/Olympus", "a time zone name"),
        (lambda: env.zone("X", "UTC"), "../etc/passwd", "a time zone name"),
        (lambda: env.networks("X"), "10.0.0.1/8", "networks between commas"),
        (lambda: env.networks("X"), "localhost", "networks between commas"),
        (lambda: env.durations("X"), "email", "names with durations"),
        (lambda: env.durations("X"), "email=10", "names with durations"),
        (lambda: env.durations("X"), "email=-1s", "names with durations"),
        (lambda: env.durations("X"), "email=0s", "names with durations"),
        (lambda: env.durations("X"), "=10s", "names with durations"),
        (lambda: env.durations("X"), "email=10s,email=20s", "names with durations"),
    ],
)
def test_a_bad_value_is_named_with_its_variable_and_the_rule(
    variable: Callable[[str], None], read: Read, value: str, rule: str
) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured) as error:
        read()
    assert str(error.value).startswith(f"X={value!r} is not valid: it must be {rule}")


@pytest.mark.parametrize(
    "read,value",
    [
        (lambda: env.url("X", None, schemes=("postgres", "sqlite")), "mysql://user:hush@host"),
        (lambda: env.url("X", None, schemes=("postgres", "sqlite")), "hush"),
        (lambda: env.redis_url("X", None), "amqp://user:hush@host"),
        (lambda: env.broker_url("X", None), "ftp://user:hush@host"),
        (lambda: env.broker_url("X", None), "hush hush"),
        (lambda: env.broker_urls("X"), "amqp://me:hush@host"),
        (lambda: env.broker_urls("X"), "user:hush@host"),
        (lambda: env.broker_urls("X"), "email=ftp://user:hush@host"),
        (lambda: env.broker_urls("X"), "email=amqp://a,email=amqp://user:hush@host"),
        (lambda: env.broker_urls("X"), "redis://user:hu=hush@host"),
        (lambda: env.broker_urls("X"), "email=,images=amqp://hush"),
        (lambda: keys.login("X", ""), "user-hush"),
        (lambda: keys.login("X", ""), "user:password,hush"),
    ],
)
def test_a_bad_value_that_may_hold_a_secret_is_not_shown(
    variable: Callable[[str], None], read: Read, value: str
) -> None:
    variable(value)
    with pytest.raises(ImproperlyConfigured, match=r"^X \(.+\) is not valid: it must be ") as error:
        read()
    assert "hush" not in str(error.value)


def test_a_required_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("X", raising=False)
    with pytest.raises(ImproperlyConfigured, match=r"^X is required: set it in the environment"):
        env.text("X")


def test_all_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "set")
    with pytest.raises(ImproperlyConfigured, match=r"^Y, Z: required on Sundays"):
        env.require("X", "Y", "Z", when="on Sundays")


@pytest.mark.parametrize(
    "value,expected",
    [
        ("valkey://host:1/2", "redis://host:1/2"),
        ("valkeys://host", "rediss://host"),
        ("redis://valkey:1", "redis://valkey:1"),
        ("amqp://guest:guest@host//", "amqp://guest:guest@host//"),
        ("ledger://", "ledger://"),
        ("sqla+sqlite:///file", "sqla+sqlite:///file"),
    ],
)
def test_a_broker_is_known_by_its_scheme(variable: Callable[[str], None], value: str, expected: str) -> None:
    variable(value)
    assert env.broker_url("X", None) == expected


def test_queues_have_brokers_of_their_own(variable: Callable[[str], None]) -> None:
    variable(" email = amqp://a/?b=c , images=valkey://d, ")
    assert env.broker_urls("X") == {"email": "amqp://a/?b=c", "images": "redis://d"}


def test_without_a_word_no_queue_has_a_broker_of_its_own() -> None:
    assert env.broker_urls("X_THAT_NOBODY_SETS") == {}


@given(st.integers())
def test_a_whole_number_is_taken_within_its_bounds_only(number: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("X", str(number))
        if -5 <= number <= 5:
            assert env.integer("X", 0, least=-5, most=5) == number
        else:
            with pytest.raises(ImproperlyConfigured):
                env.integer("X", 0, least=-5, most=5)


GOOD_KEY = "a-long-and-random-text-that-nobody-else-has-0123456789"


@pytest.mark.parametrize(
    "key", ["a", "a" * 200, "secret" * 20, GOOD_KEY[:49], f"django-insecure-{GOOD_KEY}", "insecure-development-key"]
)
def test_a_key_that_can_be_guessed_is_refused_and_not_shown(variable: Callable[[str], None], key: str) -> None:
    for value, read in ((key, keys.secret_key), (f"{GOOD_KEY},{key}", keys.secret_keys)):
        variable(value)
        arguments = ("X", None) if read is keys.secret_key else ("X",)
        with pytest.raises(ImproperlyConfigured, match=r"^X \(secret\) is not valid: a key must be random") as refused:
            read(*arguments, strict=True)
        assert key == "a" or key not in str(refused.value)
        read(*arguments, strict=False)


@given(st.integers(min_value=32, max_value=64).map(secrets.token_hex) | st.just(50).map(secrets.token_urlsafe))
def test_a_random_key_is_taken(key: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("X", key)
        assert keys.secret_key("X", None, strict=True) == key


def test_durations_are_read_in_seconds(variable: Callable[[str], None]) -> None:
    variable("email = 10s, default=2m,quick=500ms,slow=1.5h")
    assert env.durations("X") == {"email": 10, "default": 120, "quick": 0.5, "slow": 5400}


def test_networks_are_read_of_both_kinds(variable: Callable[[str], None]) -> None:
    variable("10.1.0.0/16, fd00::/8")
    assert [str(one) for one in env.networks("X")] == ["10.1.0.0/16", "fd00::/8"]


def test_an_app_that_is_named_besides_and_is_a_part_of_the_project_is_installed_once() -> None:
    code = (
        "from django.conf import settings; print([settings.INSTALLED_APPS.count(one) for one in ('mail', 'examples')])"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "project.settings", "DEBUG": "true"}
    done = forks.run("-c", code, environment={**environment, "EXTRA_APPS": "examples,mail,examples"})
    assert done.stdout == "[1, 1]\n", done.stderr
