"""Who is let in, for what, and how often."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs.conf import conf
from jobs.models import ApiToken
from jobs.operations import tokens
from tests.jobs.api.conftest import Api
from tests.jobs.people import logged_in, person

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

NOTE = {"task": "tests.tasks_app.tasks.public_note", "kwargs": {"effect": "x"}}
RETRY = {"action": "retry", "filter": {"state": ["dead"]}, "dry_run": True}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}])
def test_nobody_is_let_in_without_a_token(header: dict[str, str]) -> None:
    response = Client().get("/api/jobs", headers=header)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "scope, may",
    [("read", [200, 403, 403]), ("submit", [403, 201, 403]), ("operate", [403, 403, 200])],
)
def test_a_scope_opens_what_it_names(api_of: Callable[..., Api], scope: str, may: list[int]) -> None:
    api = api_of(scope)
    answers = [api.get("jobs"), api.post("jobs", NOTE), api.post("jobs/actions", RETRY)]
    assert [answer.status_code for answer in answers] == may


def test_a_refusal_names_the_scope_that_is_missing(api_of: Callable[..., Api]) -> None:
    assert "lacks the scope 'read'; it has: submit" in api_of("submit").get("jobs").json()["detail"]


def test_expired_and_revoked_tokens_open_nothing(api_of: Callable[..., Api]) -> None:
    assert api_of("read", expires_at=timezone.now() - timedelta(seconds=1)).get("jobs").status_code == 401
    api = api_of("read", expires_at=timezone.now() + timedelta(hours=1))
    assert api.get("jobs").status_code == 200
    tokens.revoke(ApiToken.objects.latest("pk"), by="test")
    assert api.get("jobs").status_code == 401


def test_the_last_use_of_a_token_is_noted_not_every_one(api: Api) -> None:
    api.get("jobs")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    api.get("jobs")
    assert ApiToken.objects.get().last_used_at == first


def test_only_the_digest_is_kept(api: Api) -> None:
    row = ApiToken.objects.get()
    assert len(row.digest) == 64
    assert api.token not in str(ApiToken.objects.values().get())
    assert row.prefix == api.token[:12]


def test_staff_with_the_permission_is_let_in() -> None:
    assert Api(client=logged_in(person("view_job"))).get("jobs").status_code == 200


def test_staff_without_the_permission_is_refused() -> None:
    response = Api(client=logged_in(person("view_job"))).post("jobs/actions", RETRY)
    assert response.status_code == 403
    assert "jobs.operate_job" in response.json()["detail"]


def test_someone_who_is_no_staff_is_not_let_in() -> None:
    assert Api(client=logged_in(person("view_job", staff=False))).get("jobs").status_code == 401


def test_a_session_needs_the_csrf_token_to_change_anything() -> None:
    client = logged_in(person("view_job", "operate_job"), csrf=True)
    api = Api(client=client)
    assert api.get("jobs").status_code == 200
    refused = api.post("jobs/actions", RETRY)
    assert refused.status_code == 403
    assert "X-CSRFToken" in refused.json()["detail"]
    client.cookies["csrftoken"] = "a" * 32
    assert api.post("jobs/actions", RETRY, X_CSRFToken="a" * 32).status_code == 200


def test_a_token_needs_no_csrf_token(api: Api) -> None:
    assert Api(api.token, Client(enforce_csrf_checks=True)).post("jobs/actions", RETRY).status_code == 200


@pytest.fixture
def three_a_minute(settings: object) -> object:
    settings.JOBS_API_REQUESTS_PER_MINUTE = 3  # type: ignore[attr-defined]
    conf.cache_clear()
    yield
    conf.cache_clear()


def test_one_request_too_many_is_told_when_to_come_back(three_a_minute: None, api_of: Callable[..., Api]) -> None:
    api, other = api_of("read"), api_of("read")
    left = [api.get("jobs")["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = api.get("jobs")
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert other.get("jobs").status_code == 200
