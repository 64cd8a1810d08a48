"""What the buttons do: one address for each verb, POST only, for those who may act.

Many are counted first, and changed after a confirmation that says the number and what it means. One job that loses
nothing by it is changed at once.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Protocol

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from jobs.core.states import State
from jobs.dashboard import dead_letters
from jobs.dashboard.access import action, actor
from jobs.dashboard.pages import plural, show
from jobs.errors import JobError
from jobs.models import Job
from jobs.operations import actions, dead_letter_actions, search
from jobs.operations.bulk import Result
from jobs.operations.filters import DeadLetterFilter, JobFilter

#: So many of those that could not be changed are told of one by one.
MOST_TOLD = 10

#: The most rows that one form may name one by one; a filter may choose any number.
MOST_NAMED = 1_000


#: In which of the rooms a change of many is asked about.
_ROOMS = {"job": "jobs", "dead letter": "dead-letters", "event": "webhooks"}


class Act(Protocol):
    """Makes a change of all that were chosen, or only counts them."""

    def __call__(self, *, dry_run: bool = False) -> Result: ...


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done, in the words in which a page asks for it and reports it."""

    name: str
    label: str
    done: str
    noun: str
    consequence: str
    none: str
    grave: bool = False


RETRY = Verb(
    *("retry", "Retry", "Retried", "job"),
    consequence="They go into their queues now, whatever time they waited for. Their history is kept, and their "
    "retries begin anew. One that had succeeded does its work again.",
    none="None of them can be retried: they are queued or running already.",
)
REPLAY_FROM_STEP = Verb(
    *("replay", "Replay", "Replayed", "job"),
    consequence="It goes into its queue now, and does its work again from this step on, with all the effects of that. "
    "What came before the step is kept, and not done again.",
    none="It has no such step any more, or is queued or running already.",
    grave=True,
)
CANCEL = Verb(
    *("cancel", "Cancel", "Cancelled", "job"),
    consequence="Those that wait will not run. Those that run are ended by their workers within a moment, wherever "
    "they are in their work. A cancelled job can be retried.",
    none="None of them can be cancelled: they have ended already.",
    grave=True,
)
REPLAY = Verb(
    *("replay", "Replay", "Replayed", "dead letter"),
    consequence="Their jobs go back into their queues now, with the arguments they had. Their history is kept, and "
    "their retries begin anew.",
    none="None of them can be replayed: somebody has replayed or discarded them already.",
)
DISCARD = Verb(
    *("discard", "Discard", "Discarded", "dead letter"),
    consequence="They leave this list, and their jobs stay dead. They are kept until their retention ends, and can "
    "be replayed until then.",
    none="None of them can be discarded: somebody has replayed or discarded them already.",
    grave=True,
)


@action
def retry(request: HttpRequest) -> HttpResponse:
    """Retry the jobs chosen, from a step on where one is named."""
    from_step = request.POST.get("from_step", "")
    if from_step:
        # What is no number of a step is that of none.
        number = int(from_step) if from_step.isascii() and from_step.isdigit() and len(from_step) < 10 else 0
        return _on_jobs(request, REPLAY_FROM_STEP, partial(actions.retry_jobs, from_step=number), set())
    return _on_jobs(request, RETRY, actions.retry_jobs, {State.DEAD, State.CANCELLED, State.RETRYING})


@action
def cancel(request: HttpRequest) -> HttpResponse:
    """Cancel the jobs chosen."""
    return _on_jobs(request, CANCEL, actions.cancel_jobs, {State.SCHEDULED, State.QUEUED, State.RETRYING})


@action
def discard_jobs(request: HttpRequest) -> HttpResponse:
    """Discard the dead letters of the jobs chosen."""
    return _on_jobs(request, DISCARD, dead_letter_actions.discard_of_jobs, set())


@action
def replay(request: HttpRequest) -> HttpResponse:
    """Replay the dead letters chosen."""
    return _on_dead_letters(request, REPLAY, dead_letter_actions.replay)


@action
def discard(request: HttpRequest) -> HttpResponse:
    """Discard the dead letters chosen."""
    return _on_dead_letters(request, DISCARD, dead_letter_actions.discard)


def _on_jobs(request: HttpRequest, verb: Verb, change: Callable[..., Result], harmless: set[State]) -> HttpResponse:
    chosen: JobFilter | None
    if request.POST.get("all") == "1":
        asked = search.parse(request.POST.get("q", ""), timezone.now())
        if asked.problems:
            messages.error(request, " ".join(asked.problems))
            return HttpResponseRedirect(_back(request, "jobs:jobs"))
        chosen = asked.filter
    else:
        ids = chosen_ids(request.POST)
        chosen = JobFilter(ids=ids) if ids else None
    if chosen is None:
        return _nothing_chosen(request, verb, "jobs:jobs")

    def act(*, dry_run: bool = False) -> Result:
        return change(chosen, actor=actor(request), dry_run=dry_run)

    alone = len(chosen.ids) == 1 and Job.objects.filter(pk__in=chosen.ids, state__in=harmless).exists()
    return asked_first(request, verb, act, "jobs:jobs", alone=alone)


def _on_dead_letters(request: HttpRequest, verb: Verb, change: Callable[..., Result]) -> HttpResponse:
    chosen: DeadLetterFilter | None
    if request.POST.get("all") == "1":
        chosen = dead_letters.selection(_without_all(request.POST))
    else:
        ids = chosen_ids(request.POST)
        chosen = DeadLetterFilter(ids=ids) if ids else None
    if chosen is None:
        return _nothing_chosen(request, verb, "jobs:dead-letter-list")

    def act(*, dry_run: bool = False) -> Result:
        return change(chosen, actor=actor(request), dry_run=dry_run)

    alone = len(chosen.ids) == 1 and verb is REPLAY
    return asked_first(request, verb, act, "jobs:dead-letter-list", alone=alone)


def asked_first(request: HttpRequest, verb: Verb, act: Act, home: str, *, alone: bool) -> HttpResponse:
    """Ask for a confirmation, or act and say what was done.

    A script that wants to show the question in a dialog of its own says `ask`: then nothing is changed, and the
    answer is empty where there is nothing to ask.
    """
    only_asking = request.POST.get("ask") == "1"
    if alone and only_asking:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    if not only_asking and (alone or request.POST.get("confirmed") == "1"):
        try:
            _report(request, verb, act())
        except JobError as exc:
            messages.error(request, str(exc))
        return HttpResponseRedirect(_back(request, home))
    matched = act(dry_run=True).matched
    if not matched and only_asking:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    if not matched:
        messages.error(request, verb.none)
        return HttpResponseRedirect(_back(request, home))
    fields = [(name, value) for name in request.POST for value in request.POST.getlist(name)]
    return show(
        request,
        "confirm",
        _ROOMS[verb.noun],
        verb=verb,
        matched=matched,
        what=plural(matched, verb.noun),
        fields=[(name, value) for name, value in fields if name not in {"csrfmiddlewaretoken", "confirmed", "ask"}],
        back=_back(request, home),
    )


def _report(request: HttpRequest, verb: Verb, result: Result) -> None:
    for refusal in result.refused[:MOST_TOLD]:
        messages.error(request, f"{str(refusal.id)[:8]} cannot be run again: {refusal.why}")
    if result.left:
        done = f"{verb.done} {result.changed:,} of {plural(result.matched, verb.noun)} so far"
        messages.warning(request, f"{done}; do it again for the {result.left:,} left.")
    elif not result.changed and result.refused:
        return
    elif not result.changed:
        messages.error(request, verb.none)
    elif result.changed < result.matched:
        rest = "the others cannot be" if result.refused else "the others changed in the meantime"
        messages.success(request, f"{verb.done} {result.changed:,} of {plural(result.matched, verb.noun)}; {rest}.")
    else:
        messages.success(request, f"{verb.done} {plural(result.changed, verb.noun)}.")


def _nothing_chosen(request: HttpRequest, verb: Verb, home: str) -> HttpResponse:
    if request.POST.get("ask") == "1":
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    messages.error(request, f"Nothing was chosen. Tick the {verb.noun}s to {verb.name} first.")
    return HttpResponseRedirect(_back(request, home))


def chosen_ids(given: QueryDict) -> tuple[uuid.UUID, ...]:
    """Return the ids that a form names."""
    found = []
    for text in given.getlist("id")[:MOST_NAMED]:
        try:
            found.append(uuid.UUID(text))
        except ValueError:
            continue
    return tuple(found)


def _without_all(given: QueryDict) -> QueryDict:
    """Return a form without its mark for all that match, which in an address means letters dealt with as well."""
    kept = given.copy()
    del kept["all"]
    return kept


def _back(request: HttpRequest, home: str) -> str:
    """Return where the form came from, if that is a page of ours."""
    wanted = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return reverse(home)
