"""`token create`, `list`, `revoke`."""

import pytest

from jobs.cli.verb import Exit
from jobs.models import ApiToken, OperatorAction
from jobs.operations import tokens
from tests.jobs.commands.conftest import Run

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


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


def test_tokens_made_and_revoked_are_on_record_without_the_token(run: Run) -> None:
    answer = run("token", "create", "billing", "--scope", "read", "--json").answer
    for _ in range(2):
        run("token", "revoke", answer["id"])
    made, revoked = OperatorAction.objects.order_by("pk")
    begins = answer["token"][:12]
    assert (made.action, made.target) == ("create token", {"token": "billing", "begins": begins, "scopes": ["read"]})
    assert (revoked.action, revoked.target) == ("revoke token", {"token": "billing", "begins": begins})
    assert made.actor == revoked.actor
    assert made.actor.endswith("(command line)")
