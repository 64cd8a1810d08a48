"""Tokens of the API: made, recognised, revoked. The token itself is shown once and never stored."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from jobs.models import ApiToken
from jobs.operations.bulk import record

#: Begins every token, so that scanners of leaked secrets can tell one.
MARK = "nst_"

#: How long one note of a token's use is good for: a busy client must not cost a write for each request.
NOTED_EVERY = timedelta(minutes=1)


class Scope(StrEnum):
    """What a token may do."""

    READ = "read"
    SUBMIT = "submit"
    OPERATE = "operate"


#: What a person must be allowed to do for the same, and to give it away.
PERMISSIONS = {Scope.READ: "jobs.view_job", Scope.SUBMIT: "jobs.add_job", Scope.OPERATE: "jobs.operate_job"}


class InvalidScope(ValueError):
    """Raised for a scope there is not, or for none at all."""


def create(name: str, scopes: Iterable[str], *, by: str, expires_at: datetime | None = None) -> tuple[ApiToken, str]:
    """Make a token.

    Returns:
        Its row, and the token itself, which nothing can bring back later.

    Raises:
        InvalidScope: a scope is unknown, or there is none.
    """
    wanted = check_scopes(scopes)
    # 256 random bits: whoever has the digest cannot guess them, so it needs neither salt nor a slow hash.
    token = MARK + secrets.token_urlsafe(32)
    with transaction.atomic():
        row = ApiToken.objects.create(
            name=name,
            digest=digest(token),
            prefix=token[:12],
            scopes=wanted,
            created_by=by,
            expires_at=expires_at,
        )
        record("create token", by, {**_named(row), "scopes": wanted}, 1)
    return row, token


def check_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes in their order, each once. Raises InvalidScope for one there is not, or for none."""
    given = set(scopes)
    unknown = given - set(Scope)
    if unknown or not given:
        shown = ", ".join(sorted(unknown)) or "none"
        raise InvalidScope(f"scopes={shown} is not valid: there must be one or more of {', '.join(Scope)}.")
    return [scope.value for scope in Scope if scope in given]


def digest(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def recognise(token: str) -> ApiToken | None:
    """Return a token's row, or None where it is unknown, expired or revoked; note that it was used.

    The look-up is by digest: how long it takes says nothing about any token, since nobody can steer a digest.
    """
    now = timezone.now()
    row = ApiToken.objects.filter(_usable(now), digest=digest(token)).first()
    if row is not None and (row.last_used_at is None or now - row.last_used_at >= NOTED_EVERY):
        ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def still_opening(ids: Iterable[int], scope: Scope) -> set[int]:
    """Return which of these tokens are neither revoked nor expired, and have the scope."""
    found = ApiToken.objects.filter(_usable(timezone.now()), pk__in=set(ids)).values_list("pk", "scopes")
    return {pk for pk, scopes in found if scope in scopes}


def revoke(row: ApiToken, *, by: str) -> None:
    """Let a token open nothing any more. One that was revoked before stays as it is."""
    with transaction.atomic():
        if ApiToken.objects.filter(pk=row.pk, revoked_at=None).update(revoked_at=timezone.now()):
            record("revoke token", by, _named(row), 1)


def _usable(now: datetime) -> Q:
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))


def _named(row: ApiToken) -> dict[str, Any]:
    return {"token": row.name, "begins": row.prefix}
