"""Orchestrators and Prometheus ask a process by its address, and without TLS."""

import asyncio

import pytest
from django.test import AsyncClient, Client
from pytest_django import Settings

from accounts.models import User
from jobs.operations import tokens
from tests.servers import Valkey

HOSTS = ["10.1.2.3:8000", "[2001:db8::1]:8000", "web-7d9f", "my_app", "evil.example", ""]
TOKEN = "for-prometheus-only"  # noqa: S105  Of these tests.


@pytest.fixture(autouse=True)
def production(settings: Settings, valkey: Valkey, no_answer_is_remembered: None) -> None:
    """HTTPS alone, one host, and a token for Prometheus; no answer of a server that a test before has stopped."""
    settings.ALLOWED_HOSTS = ["example.com"]
    settings.SECURE_SSL_REDIRECT = True
    settings.METRICS_TOKEN = TOKEN


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.django_db(transaction=True)
def test_probes_answer_any_host_without_tls(client: Client, path: str, host: str) -> None:
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 200
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Request-ID"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.django_db
def test_metrics_answer_any_host_and_scheme_to_who_has_the_token(client: Client, host: str) -> None:
    for scheme in ("bearer", "Bearer"):
        headers = {"Host": host, "Authorization": f"{scheme} {TOKEN}"}
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == 200
        assert "nightshift_jobs" in answer.content.decode()
    assert client.get("/metrics", headers={"Host": host, "Authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.django_db
def test_metrics_answer_a_token_of_the_api_likewise(client: Client) -> None:
    _, token = tokens.create("scraper", ["read"], by="tests")
    headers = {"Host": "10.1.2.3:8000", "Authorization": f"Bearer {token}"}
    assert client.get("/metrics", headers=headers).status_code == 200


@pytest.mark.django_db
def test_a_session_opens_metrics_at_the_right_host_alone(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root@example.com"))
    assert client.get("/metrics", headers={"Host": "example.com"}, secure=True).status_code == 200
    assert client.get("/metrics", headers={"Host": "10.1.2.3:8000"}).status_code == 400


def test_livez_answers_in_the_event_loop() -> None:
    async def ask() -> int:
        return (await AsyncClient().get("/livez", headers={"Host": "10.1.2.3:8000"})).status_code

    assert asyncio.run(ask()) == 200


@pytest.mark.parametrize("path", ["/", "/livez/", "/readyz/x", "/log-in/", "//livez"])
@pytest.mark.django_db
def test_no_other_page_answers_another_host(client: Client, path: str) -> None:
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}, secure=True).status_code == 400


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_probe_only_asks(client: Client, path: str) -> None:
    assert client.post(path, headers={"Host": "10.1.2.3:8000"}).status_code == 405
