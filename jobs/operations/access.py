"""Who may use the API: a token with the scope, or a member of staff with the permission."""

from dataclasses import dataclass
from http import HTTPStatus

from django.contrib.auth import get_user
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, PermissionsMixin
from django.http import HttpRequest
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from jobs.operations import rates, tokens
from jobs.operations.problems import Problem
from jobs.operations.tokens import PERMISSIONS, Scope

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: for the record of operator actions.
        key: the same for all requests of one token or person, and for nobody else's.
        scopes: all that the caller may do.
    """

    name: str
    key: str
    scopes: frozenset[Scope]

    def require(self, scope: Scope, why: str) -> None:
        """Raise Problem where a request asks for more than its operation's own scope opens."""
        if scope not in self.scopes:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"{why} needs the scope {scope.value!r} as well (for members of staff, {PERMISSIONS[scope]}).",
            )


class Needs(AuthBase):
    """Lets in who may do what `scope` names, within their rate."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = (
        "A token made in the admin or by `manage.py jobs token create`. In a browser the session of a member of "
        "staff does as well; then what changes anything needs the header `X-CSRFToken`."
    )

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> Caller:
        """Return who asks. Raises Problem for those who may not."""
        caller = self.caller(request)
        rates.spend(request, caller.key)
        return caller

    def caller(self, request: HttpRequest) -> Caller:
        """Return who asks, without counting it as a request. Raises Problem for those who may not."""
        return self._by_token(request) if "Authorization" in request.headers else self._by_session(request)

    def again(self, request: HttpRequest) -> Caller:
        """Return who asks, looked up anew for a request that lasts. Raises Problem for those who may no longer."""
        if "Authorization" in request.headers:
            return self._by_token(request)
        anew = HttpRequest()
        anew.method = "GET"
        anew.session = type(request.session)(request.session.session_key)
        anew.user = get_user(anew)
        return self._by_session(anew)

    def _by_token(self, request: HttpRequest) -> Caller:
        scheme, _, token = request.headers["Authorization"].partition(" ")
        row = tokens.recognise(token.strip()) if scheme.lower() == "bearer" else None
        if row is None:
            raise _unauthorised("The token is unknown, expired or revoked.")
        if self.scope not in row.scopes:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"The token {row.name!r} lacks the scope {self.scope.value!r}; it has: {', '.join(row.scopes)}.",
            )
        return Caller(f"token {row.name}", f"token:{row.pk}", frozenset(map(Scope, row.scopes)))

    def _by_session(self, request: HttpRequest) -> Caller:
        user = request.user
        if isinstance(user, AnonymousUser) or not (user.is_active and user.is_staff):
            raise _unauthorised("Send a token as `Authorization: Bearer …`, or log in as a member of staff.")
        scopes = _scopes(user)
        if self.scope not in scopes:
            needed = PERMISSIONS[self.scope]
            raise Problem(HTTPStatus.FORBIDDEN, f"You lack the permission {needed}; an administrator can give it.")
        if request.method not in _SAFE and check_csrf(request) is not None:
            raise Problem(
                HTTPStatus.FORBIDDEN, "The header X-CSRFToken is missing or wrong; a request by a token needs none."
            )
        return Caller(user.get_username(), f"user:{user.pk}", scopes)


def _scopes(user: AbstractBaseUser) -> frozenset[Scope]:
    """Return what a person may do."""
    if not isinstance(user, PermissionsMixin):
        return frozenset()
    return frozenset(scope for scope, permission in PERMISSIONS.items() if user.has_perm(permission))


def _unauthorised(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"})


READ = Needs(Scope.READ)
SUBMIT = Needs(Scope.SUBMIT)
OPERATE = Needs(Scope.OPERATE)


def caller_of(request: HttpRequest) -> Caller:
    """Return who asks, once they were let in."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    return caller
