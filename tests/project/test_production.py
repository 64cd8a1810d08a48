"""What production demands, and what it tells browsers. Each start is a process of its own: settings are read once."""

import json
import subprocess

import pytest

from tests import forks

PRODUCTION = {
    "SECRET_KEY": "a-long-and-random-text-that-nobody-else-has-0123456789",
    "ALLOWED_HOSTS": "example.com",
    "DATABASE_URL": "postgres://user:hush@db/name",
    "REDIS_URL": "redis://:hush@cache",
}


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    """Run the checks of a process that has these variables and no other."""
    return forks.run("manage.py", "check", environment=variables)


def settings(*names: str, **variables: str) -> list[object]:
    """Return what these settings are in a production process."""
    code = f"import json; from project import settings; print(json.dumps([getattr(settings, n) for n in {names}]))"
    result = forks.run("-c", code, environment=PRODUCTION | variables)
    assert result.returncode == 0, result.stderr
    return list(json.loads(result.stdout))


def test_development_needs_nothing_but_debug() -> None:
    assert start(DEBUG="true").returncode == 0


def test_production_starts_with_what_it_requires() -> None:
    result = start(**PRODUCTION)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"])
def test_production_names_what_is_missing_in_one_line(name: str) -> None:
    result = start(**{key: value for key, value in PRODUCTION.items() if key != name})
    assert result.returncode != 0
    assert result.stderr == f"{name}: required in production (DEBUG is off); set in the environment.\n"


def test_production_needs_a_broker_or_redis() -> None:
    result = start(**{key: value for key, value in PRODUCTION.items() if key != "REDIS_URL"})
    assert "BROKER_URL: required in production (DEBUG is off) unless REDIS_URL is set" in result.stderr
    without_redis = {key: value for key, value in PRODUCTION.items() if key != "REDIS_URL"}
    assert start(**without_redis, BROKER_URL="ledger://").returncode == 0


@pytest.mark.parametrize(
    "name,value,said",
    [
        ("DEBUG", "perhaps", "DEBUG='perhaps' is not valid: it must be one of 1, true"),
        ("DATABASE_URL", "mysql://user:hush@db/name", "DATABASE_URL (mysql://…) is not valid"),
        ("BROKER_URL", "hush", "BROKER_URL (a value without ://) is not valid"),
        ("REDIS_URL", "http://:hush@cache", "REDIS_URL (http://…) is not valid"),
        ("FRONTEND_HOST", "example.com", "FRONTEND_HOST (a value without ://) is not valid"),
        ("CRON_TIMEZONE", "Berlin", "CRON_TIMEZONE='Berlin' is not valid: it must be a time zone name"),
        ("SMTP_PORT", "0", "SMTP_PORT='0' is not valid: it must be a whole number from 1 to 65535"),
        ("SMTP_TLS", "starttls", "SMTP_TLS='starttls' is not valid"),
        ("JOBS_LEASE_SECONDS", "soon", "JOBS_LEASE_SECONDS='soon' is not valid: it must be a number from 1 to 3600"),
        ("HSTS_SECONDS", "-1", "HSTS_SECONDS='-1' is not valid"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT='xml' is not valid: it must be one of text, json"),
        ("FLOWER_BASIC_AUTH", "hush", "FLOWER_BASIC_AUTH (secret) is not valid: it must be user:password"),
        ("SENTRY_DSN", "hush", "SENTRY_DSN (a value without ://) is not valid"),
        ("FRONTEND_HOST", "https://example.com/blog", "FRONTEND_HOST='https://example.com/blog' is not valid: it must"),
        ("ALLOWED_HOSTS", "*,example.com", "FRONTEND_HOST: required where ALLOWED_HOSTS has *"),
        ("ALLOWED_HOSTS", "example.com:8000", "ALLOWED_HOSTS='example.com:8000' is not valid"),
        ("FORWARDED_ALLOW_IPS", "10.0.0.1/8", "FORWARDED_ALLOW_IPS='10.0.0.1/8' is not valid"),
        (
            "SECRET_KEY",
            "a",
            "SECRET_KEY (secret) is not valid: a key must be random, with 50 characters or more and 10",
        ),
        ("SECRET_KEY_FALLBACKS", f"{PRODUCTION['SECRET_KEY']},hush", "SECRET_KEY_FALLBACKS (secret) is not valid"),
        ("INBOX_DIR", "inbox", "INBOX_DIR is set although DEBUG is off"),
    ],
)
def test_a_bad_value_stops_the_start_in_one_line_without_secrets(name: str, value: str, said: str) -> None:
    result = start(**{**PRODUCTION, name: value})
    assert result.returncode != 0
    assert result.stderr.startswith(said)
    assert result.stderr.count("\n") == 1
    assert "hush" not in result.stderr


def test_mails_lead_to_the_first_allowed_host_unless_told_otherwise() -> None:
    assert settings("FRONTEND_HOST", ALLOWED_HOSTS=".example.com,other.org") == ["https://example.com"]


def test_the_sites_address_is_understood_however_it_is_spelled() -> None:
    names = ("FRONTEND_HOST", "CSRF_TRUSTED_ORIGINS", "SESSION_COOKIE_SECURE")
    assert settings(*names, FRONTEND_HOST="HTTPS://Bücher.example:443/") == [
        "https://xn--bcher-kva.example",
        ["https://xn--bcher-kva.example"],
        True,
    ]


def test_any_host_may_be_allowed_where_links_have_one_to_lead_to() -> None:
    assert settings("ALLOWED_HOSTS", ALLOWED_HOSTS="*", FRONTEND_HOST="https://example.com") == [["*"]]


def test_keys_of_before_are_kept() -> None:
    old = [f"{which}-of-before-with-many-characters-0123456789-abcdef" for which in ("one", "another")]
    assert settings("SECRET_KEY_FALLBACKS", SECRET_KEY_FALLBACKS=", ".join(old)) == [old]


def test_a_proxy_is_to_be_named_where_there_is_one() -> None:
    result = start(**PRODUCTION, BEHIND_PROXY="yes")
    assert result.returncode == 0
    assert "project.W001" in result.stderr
    assert "FORWARDED_ALLOW_IPS" in result.stderr


def test_https_is_strict_and_plain_http_is_possible() -> None:
    names = ("SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
    assert settings(*names) == [True, 3600, True, True]
    assert settings(*names, FRONTEND_HOST="http://example.com") == [False, 0, False, False]
    assert settings(*names, HTTPS_REDIRECT="no", HSTS_SECONDS="31536000") == [False, 31536000, True, True]


def test_the_header_of_a_proxy_is_believed_only_behind_one() -> None:
    assert settings("SECURE_PROXY_SSL_HEADER") == [None]
    assert settings("SECURE_PROXY_SSL_HEADER", BEHIND_PROXY="yes") == [["HTTP_X_FORWARDED_PROTO", "https"]]


def test_redis_is_broker_too_unless_another_is_named() -> None:
    assert settings("BROKER_URL", "REDIS_URL") == ["redis://:hush@cache", "redis://:hush@cache"]
    assert settings("BROKER_URL", BROKER_URL="amqp://rabbit") == ["amqp://rabbit"]


def test_djangos_own_checks_for_production_are_content() -> None:
    result = forks.run("manage.py", "check", "--deploy", "--fail-level", "WARNING", environment=PRODUCTION)
    assert result.returncode == 0, result.stderr
