"""Replaying a dead letter with arguments that an operator has corrected."""

import json
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from jobs.dashboard import dead_letters
from jobs.dashboard.access import action, actor
from jobs.dashboard.pages import show
from jobs.errors import JobError
from jobs.operations import dead_letter_actions
from jobs.operations.job_json import TOO_DEEP
from jobs.operations.values import read_json


@action
def replay_corrected(request: HttpRequest, letter_id: uuid.UUID) -> HttpResponse:
    """Run a dead letter's task with the arguments of the form, as a new job."""
    letter = dead_letters.get(letter_id)
    text = request.POST.get("arguments", "")
    try:
        args, kwargs = dead_letter_actions.corrected_arguments(letter, read(text))
        job_id = dead_letter_actions.replay_corrected(letter, args, kwargs, actor=actor(request))
    except (ValueError, JobError) as exc:
        context = {**dead_letters.page_context(request, letter), "edited": text, "problem": str(exc)}
        page = show(request, "dead_letter", "dead-letters", **context)
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
        found = read_json(text)
    except json.JSONDecodeError as exc:
        raise ValueError(f"This is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}.") from None
    if TOO_DEEP in text:
        raise ValueError(
            "These arguments lie deeper than this page shows them; replay the letter as it was, or by the API."
        )
    if not isinstance(found, dict):
        raise ValueError("The arguments must be a JSON object: names and values in braces.")  # noqa: TRY004  (what is wrong is the text)
    return found
