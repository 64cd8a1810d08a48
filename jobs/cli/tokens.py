"""`token create`, `list`, `revoke`."""

from argparse import ArgumentParser
from datetime import timedelta

from django.utils import timezone

from jobs.cli import filters
from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, actor, nothing
from jobs.models import ApiToken
from jobs.operations import tokens
from jobs.operations.job_json import maybe_time_json, time_json
from jobs.operations.tokens import Scope


def _create_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="whose it is, such as billing")
    parser.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=[scope.value for scope in Scope],
        help="what it may do; may be repeated",
    )
    parser.add_argument("--days", type=filters.number(1, 3650), help="how long it is good for; else until revoked")


def _create(given: Given, out: Output) -> Exit:
    expires_at = timezone.now() + timedelta(days=given["days"]) if given["days"] else None
    row, token = tokens.create(given["name"], given["scope"], by=actor(), expires_at=expires_at)
    out.json({"id": row.pk, "name": row.name, "token": token, "scopes": row.scopes})
    out.line(token)
    out.line("This is the only time it is shown. Clients send it as: Authorization: Bearer <token>")
    return Exit.DONE


def _list(given: Given, out: Output) -> Exit:
    found = list(ApiToken.objects.all())
    out.json(
        {
            "tokens": [
                {
                    "id": row.pk,
                    "name": row.name,
                    "prefix": row.prefix,
                    "scopes": row.scopes,
                    "created_by": row.created_by,
                    "created_at": time_json(row.created_at),
                    "last_used_at": maybe_time_json(row.last_used_at),
                    "expires_at": maybe_time_json(row.expires_at),
                    "revoked_at": maybe_time_json(row.revoked_at),
                }
                for row in found
            ]
        }
    )
    out.table(
        ["id>", "name", "begins", "may", "made by", "made", "last used", "expires", "revoked"],
        [
            [
                *(str(row.pk), row.name, f"{row.prefix}…", ", ".join(row.scopes), row.created_by, row.created_at),
                *(row.last_used_at, row.expires_at, row.revoked_at),
            ]
            for row in found
        ],
        empty="There are no tokens. Make one: manage.py jobs token create NAME --scope read",
    )
    return Exit.DONE


def _revoke_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", type=int, help="its number in the list")


def _revoke(given: Given, out: Output) -> Exit:
    row = ApiToken.objects.filter(pk=given["id"]).first()
    if row is None:
        raise Failed(f"There is no token {given['id']}. `manage.py jobs token list` shows them.")
    tokens.revoke(row, by=actor())
    out.json({"id": row.pk, "revoked": True})
    out.line(f"Token {row.name} opens nothing any more.")
    return Exit.DONE


VERBS = [
    Verb(("token", "create"), "make a token of the API, and show it once", _create, _create_arguments),
    Verb(("token", "list"), "list the tokens", _list, nothing),
    Verb(("token", "revoke"), "let a token open nothing any more", _revoke, _revoke_arguments),
]
