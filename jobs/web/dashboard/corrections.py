"""Replaying a dead letter with arguments that an operator has corrected."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from jobs import operations
from jobs.errors import JobError
from jobs.models import DeadLetter
from jobs.redaction import HIDDEN
from jobs.registry import registered
from jobs.web.dashboard import deadletters
from jobs.web.dashboard.access import action, actor
from jobs.web.dashboard.pages import show
from jobs.web.job_json import TOO_DEEP


@action
def replay_corrected(request: HttpRequest, letter_id: uuid.UUID) -> HttpResponse:
    """Run a dead letter's task with the arguments of the form, as a new job."""
    letter = deadletters.get(letter_id)
    text = request.POST.get("arguments", "")
    try:
        args, kwargs = passed(letter, read(text))
        job_id = operations.replay_corrected(letter, args, kwargs, actor=actor(request))
    except (ValueError, JobError) as exc:
        context = {**deadletters.letter_context(request, letter), "edited": text, "problem": str(exc)}
        page = show(request, "letter", "dead-letters", **context)
        page.status_code = 422
        return page
    messages.success(request, "Replayed with these arguments, as this new job.")
    return redirect("jobs:job", job_id)


def read(text: str) -> dict[str, Any]:
    """Return the arguments written in a form.

    Raises:
        ValueError: it is not a JSON object, or only a part of the arguments; the message says where.
    """
    try:
        found = json.loads(text)
    except json.JSONDecodeError as exc:
        raise ValueError(f"This is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}.") from None
    except RecursionError:
        raise ValueError("This is nested too deeply.") from None
    if TOO_DEEP in text:
        raise ValueError(
            "These arguments lie deeper than this page shows them; replay the letter as it was, or by the API."
        )
    if not isinstance(found, dict):
        raise ValueError("The arguments must be a JSON object: names and values in braces.")  # noqa: TRY004  (what is wrong is the text)
    return found


def passed(letter: DeadLetter, edited: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments as they are passed: hidden ones with the value they had, nameless ones by position."""
    originals = _originals(letter)
    kwargs = {name: originals.get(name, value) if value == HIDDEN else value for name, value in edited.items()}
    positions = sorted((name for name in kwargs if name.isdecimal()), key=int)
    return [kwargs.pop(position) for position in positions], kwargs


def _originals(letter: DeadLetter) -> dict[str, Any]:
    signature = getattr(registered().get(letter.task), "_signature", None)
    names = list(signature.parameters) if signature else []
    values = letter.args or []
    named = {names[index] if index < len(names) else str(index): value for index, value in enumerate(values)}
    return {**named, **(letter.kwargs or {})}
