"""Odd values are refused where they come in, for every page and address of the site: 422, never a failure of ours."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import ValidationError
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from jobs.operations.problems import invalid
from jobs.operations.values import OddValue, check_texts

logger = logging.getLogger(__name__)

#: What is raised for a value beyond all bounds, by the database and by Python.
BEYOND = (DataError, OverflowError, RecursionError, UnicodeEncodeError)

#: What the lists of the admin can be searched for, in characters. Each word becomes a condition on each field, and
#: databases refuse statements of some thousand conditions, and patterns of some ten thousand characters.
MOST_SEARCHED = 1_000

#: Pages that look for any text in their own way, and find nothing for an odd one.
_SEARCHES = frozenset({"posts:search"})

Get = Callable[[HttpRequest], Any]


def refusing_odd_values(middleware: Get) -> Get:
    """Let a middleware refuse requests with values that nothing can hold, and those that turn out to have brought some.

    It is one that is there already: another would add calls to those below which JSON that is nested deep is read.
    """
    hooks: Any = middleware
    hooks.process_view = _check_request
    hooks.process_exception = _check_exception
    return middleware


def _check_request(request: HttpRequest, *view: Any) -> HttpResponse | None:
    if request.resolver_match and request.resolver_match.view_name in _SEARCHES:
        return None
    try:
        check_texts(request)
        _check_search(request)
    except OddValue as exc:
        return _refused(request, exc)
    return None


def _check_search(request: HttpRequest) -> None:
    wanted = request.GET.get(SEARCH_VAR, "")
    if len(wanted) > MOST_SEARCHED and request.path_info.startswith(reverse("admin:index")):
        raise OddValue(SEARCH_VAR, f"must not be longer than {MOST_SEARCHED:,} characters", wanted)


def _check_exception(request: HttpRequest, exc: Exception) -> HttpResponse | None:
    if not isinstance(exc, BEYOND) and not _is_refused_key(request, exc):
        return None
    logger.warning("A value of %s %s cannot be held.", request.method, request.path, exc_info=exc)
    return _refused(request, OddValue("", "has a value beyond what can be held"))


def _is_refused_key(request: HttpRequest, exc: Exception) -> bool:
    # Django's way from the admin to an object's page looks for any key in any table, and takes only some of what fields
    # say of one that they cannot be.
    at = request.resolver_match
    return isinstance(exc, ValidationError) and at is not None and at.view_name == "admin:view_on_site"


def _refused(request: HttpRequest, exc: OddValue) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return invalid(exc.field or "request", exc.value, exc.rule).response()
    return render(request, "422.html", {"reason": str(exc)}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
