"""A client of the API."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from jobs.operations import tokens
from tests.servers import Valkey


@dataclass(frozen=True)
class Api:
    """Asks as the holder of a token, or as whoever `client` has logged in."""

    token: str = ""
    client: Client = Client()  # noqa: RUF009 (it keeps no state of a test: tokens need no cookies)

    def get(self, path: str, **query: Any) -> Any:
        return self.client.get(f"/api/{path}", query, headers=self._headers())

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """Send JSON; `Idempotency_Key="x"` adds a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(
            f"/api/{path}", body, content_type="application/json", headers={**self._headers(), **named}
        )

    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(f"/api/{path}", body, content_type="application/json", headers=self._headers())

    def delete(self, path: str, _: Any = None) -> Any:
        return self.client.delete(f"/api/{path}", headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@pytest.fixture(autouse=True)
def nothing_spent(valkey: Valkey) -> None:
    """Let every test begin with its whole rate."""


@pytest.fixture
def api_of() -> Callable[..., Api]:
    """Make a token and return its holder: `api_of("read", "submit")`."""

    def make(*scopes: str, **options: Any) -> Api:
        return Api(tokens.create("test", scopes, by="test", **options)[1])

    return make


@pytest.fixture
def api(api_of: Callable[..., Api]) -> Api:
    """The holder of a token that may do everything."""
    return api_of("read", "submit", "operate")


def errors(response: Any) -> list[tuple[str, Any, str]]:
    """Return the fields at fault, their values and the rules."""
    assert response["Content-Type"] == "application/problem+json"
    return [(error["field"], error["value"], error["rule"]) for error in response.json()["errors"]]
