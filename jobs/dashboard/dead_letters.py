"""Dead letters: what gave up, by task and error first, then one by one."""

import json
import uuid
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone

from jobs.dashboard.access import may_act, page
from jobs.dashboard.pages import query, show
from jobs.enqueue.message import IDEMPOTENCY_HEADER
from jobs.models import DeadLetter
from jobs.operations import paging, search
from jobs.operations.filters import DeadLetterFilter
from jobs.operations.job_json import named_arguments
from jobs.reports import counts
from jobs.reports.dead_letters import groups as groups_of
from jobs.reports.fingerprints import fingerprint

#: Letters on a page; groups shown.
PAGE, GROUPS = 50, 100

#: How much of a message that says no task is shown, in bytes.
BODY_SHOWN = 4_000

#: Headers that repeat arguments, or digest them.
_UNTOLD = frozenset({"argsrepr", "kwargsrepr", IDEMPOTENCY_HEADER})

#: What the address may say of the letters wanted.
FIELDS = ("task", "queue", "reason", "error", "text")


@page
def groups(request: HttpRequest) -> HttpResponse:
    """Show what gave up, by task and error."""
    found = groups_of(DeadLetterFilter())
    return show(
        request,
        "dead_letters",
        "dead-letters",
        events="/api/events?state=dead&state=queued",
        groups=found[:GROUPS],
        more=len(found) - GROUPS,
        total=sum(group.count for group in found),
    )


@page
def dead_letter_list(request: HttpRequest) -> HttpResponse:
    """Show the letters of a group, or of a filter."""
    wanted = selection(request.GET)
    cursor = request.GET.get("after", "")
    rows = wanted.dead_letters().defer("body", "headers", "properties")
    try:
        found = paging.page(rows, "failed_at", limit=PAGE, cursor=cursor)
    except paging.InvalidCursor:
        messages.error(request, "That page of the list is not there any more; this is its beginning.")
        return redirect(f"{request.path}?{as_query(request.GET)}")
    return show(
        request,
        "dead_letter_list",
        "dead-letters",
        wanted=wanted,
        fields={name: request.GET[name] for name in (*FIELDS, "since", "all") if request.GET.get(name)},
        letters=[(letter, _arguments(letter)) for letter in found.rows],
        count=counts.count(wanted.dead_letters()),
        cursor=cursor,
        first_query=as_query(request.GET),
        next_query=f"{as_query(request.GET)}&after={found.next_cursor}" if found.next_cursor else "",
    )


@page
def dead_letter(request: HttpRequest, letter_id: uuid.UUID) -> HttpResponse:
    """Show one letter, and the form to replay it with other arguments."""
    found = get(letter_id)
    return show(request, "dead_letter", "dead-letters", **page_context(request, found))


def page_context(request: HttpRequest, found: DeadLetter) -> dict[str, object]:
    """Return what a letter's page shows."""
    arguments = _arguments(found)
    return {
        "letter": found,
        "arguments": arguments,
        "edited": json.dumps(arguments, indent=2, ensure_ascii=False),
        "headers": {name: value for name, value in found.headers.items() if name not in _UNTOLD},
        "body": _shown_body(found) if may_act(request.user) else "",
        "kind": fingerprint(found.error),
        "group_query": query(task=found.task, reason=found.reason, error=fingerprint(found.error)),
    }


def get(letter_id: uuid.UUID) -> DeadLetter:
    """Return a letter. Raises Http404 where there is none."""
    found = DeadLetter.objects.filter(pk=letter_id).first()
    if found is None:
        raise Http404("There is no such dead letter: it was deleted after its retention.")
    return found


def selection(given: QueryDict) -> DeadLetterFilter:
    """Return the filter that an address or a form says."""
    fields: dict[str, Any] = {name: given.get(name, "").replace("\x00", "")[:2000] for name in FIELDS}
    since = given.get("since", "")
    try:
        failed_after = search.moment(since, timezone.now()) if since else None
    except ValueError:
        failed_after = None
    return DeadLetterFilter(**fields, failed_after=failed_after, open_only=given.get("all") != "1")


def as_query(given: QueryDict) -> str:
    """Return the filter again, as an address says it."""
    return query(**{name: given.get(name, "") for name in (*FIELDS, "since", "all")})


def _arguments(letter: DeadLetter) -> dict[str, object] | None:
    if letter.args is None and letter.kwargs is None:
        return None
    return named_arguments(letter.task, letter.args, letter.kwargs)


def _shown_body(letter: DeadLetter) -> str:
    """Return the beginning of a message that names no task: nobody can say what it hides, and it is all there is."""
    if letter.task:
        return ""
    body = bytes(letter.body)
    shown = body[:BODY_SHOWN].decode("utf-8", "backslashreplace")
    return shown if len(body) <= BODY_SHOWN else f"{shown}… ({len(body):,} bytes)"
