"""`token create`, `list`, `revoke`."""

import pytest

from jobs.cli.verb import Exit
from jobs.models import ApiToken
from jobs.operations import tokens
from tests.jobs.commands.conftest import Run

pytestmark = pytest.mark.django_db


def test_a_token_is_shown_once_and_kept_as_a_digest(run: Run) -> None:
    answer = run("token", "create", "billing", "--scope", "submit", "--scope", "read", "--json").answer
    row = ApiToken.objects.get()
    assert tokens.recognise(answer["token"]) == row
    assert row.scopes == ["read", "submit"]
    assert answer["token"] not in str(ApiToken.objects.values().get())
    assert answer["token"] not in run("token", "list", "--json").out
    assert "billing" in run("token", "list").out


def test_a_token_expires(run: Run) -> None:
    run("token", "create", "billing", "--scope", "read", "--days", 30)
    assert ApiToken.objects.get().expires_at is not None


def test_a_revoked_token_opens_nothing(run: Run) -> None:
    answer = run("token", "create", "billing", "--scope", "read", "--json").answer
    run("token", "revoke", answer["id"])
    assert tokens.recognise(answer["token"]) is None
    assert run("token", "revoke", 0).code is Exit.FAILED
