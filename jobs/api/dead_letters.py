"""`/api/dead-letters`: list, show, replay, discard."""

import uuid
from http import HTTPStatus
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Query, Router

from jobs.api.jobs import refuse_unknown, turned
from jobs.api.schemas.dead_letters import (
    DeadLetterActionIn,
    DeadLetterOut,
    DeadLetterPage,
    DeadLetterQuery,
    DeadLetterRef,
    ReplayIn,
    ReplayOut,
)
from jobs.api.schemas.jobs import ActionOut
from jobs.api.submit import public
from jobs.deadletters.publisher import BrokerGone
from jobs.errors import EnqueueError, TransitionRefused
from jobs.models import DeadLetter
from jobs.operations import dead_letter_actions, rates
from jobs.operations.access import OPERATE, READ, Caller, caller_of
from jobs.operations.arguments import errors_in
from jobs.operations.bulk import Result
from jobs.operations.dead_letter_json import dead_letter_json
from jobs.operations.filters import DeadLetterFilter
from jobs.operations.problems import Problem, invalid, missing, refused
from jobs.operations.result_json import UNTOLD, result_json
from jobs.operations.tokens import Scope
from jobs.tasks.registry import registered

router = Router(tags=["dead letters"])


@router.get("", response=DeadLetterPage, auth=READ, summary="List dead letters")
def list_dead_letters(request: HttpRequest, query: Annotated[DeadLetterQuery, Query()]) -> Any:
    """Return dead letters, the latest first."""
    refuse_unknown(request, query)
    found = turned(query.filter().dead_letters().defer("body", "headers", "properties"), "failed_at", query)
    return {"dead_letters": [dead_letter_json(letter) for letter in found.rows], "next_cursor": found.next_cursor}


@router.post(
    "/actions", response=ActionOut, exclude_unset=True, auth=OPERATE, summary="Replay or discard all that match"
)
def act_on_dead_letters(request: HttpRequest, body: Annotated[DeadLetterActionIn, Body()]) -> Any:
    """Replay or discard every dead letter that matches the filter and that nobody has dealt with."""
    selection = body.filter.filter()
    if set(selection.as_json()) <= {"open_only"}:
        raise invalid("filter", {}, "must restrict something, a queue or a time for instance")
    if selection.text:
        # How many match would say what stands in them.
        caller_of(request).require(Scope.READ, "A filter that looks into arguments or errors (q)")
    act = dead_letter_actions.replay if body.action == "replay" else dead_letter_actions.discard
    result = _through_broker(lambda: act(selection, actor=caller_of(request).name, dry_run=body.dry_run))
    return result_json(result, dry_run=body.dry_run, reads=Scope.READ in caller_of(request).scopes)


@router.get("/{uuid:letter_id}", response=DeadLetterOut, auth=READ, summary="Show a dead letter")
def show_dead_letter(request: HttpRequest, letter_id: uuid.UUID) -> Any:
    """Return a dead letter."""
    return dead_letter_json(_letter(letter_id))


@router.post("/{uuid:letter_id}/replay", response=ReplayOut, auth=OPERATE, summary="Replay a dead letter")
def replay_dead_letter(
    request: HttpRequest, letter_id: uuid.UUID, body: Annotated[ReplayIn | None, Body()] = None
) -> Any:
    """Run a dead letter again: its job goes back to its queue; with other arguments it becomes a new job.

    Other arguments are a new submission: they take the scope `submit`, and a public task.
    """
    body = body or ReplayIn()
    letter, actor = _letter(letter_id), caller_of(request).name
    if body.kwargs is not None:
        caller_of(request).require(Scope.SUBMIT, "A replay with other arguments")
        return {"job_id": _corrected(letter, body.kwargs, caller_of(request), force=body.force)}
    selection = DeadLetterFilter(ids=(letter_id,), open_only=not body.force)
    result = _through_broker(lambda: dead_letter_actions.replay(selection, actor=actor, force=body.force))
    if result.refused:
        why = result.refused[0].why if Scope.READ in caller_of(request).scopes else UNTOLD
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"Dead letter {letter.pk} cannot be run again: {why}")
    if not result.changed:
        raise _done_before(letter)
    return {"job_id": _letter(letter_id).replay_job_id}


@router.post(
    "/{uuid:letter_id}/discard", response=DeadLetterOut | DeadLetterRef, auth=OPERATE, summary="Discard a dead letter"
)
def discard_dead_letter(request: HttpRequest, letter_id: uuid.UUID) -> Any:
    """Set a dead letter aside for good; its job stays dead."""
    letter = _letter(letter_id)
    result = dead_letter_actions.discard(DeadLetterFilter(ids=(letter_id,)), actor=caller_of(request).name)
    if not result.changed:
        raise _done_before(letter)
    letter = _letter(letter_id)
    if Scope.READ in caller_of(request).scopes:
        return dead_letter_json(letter)
    return {"id": letter.pk, "job_id": letter.job_id, "discarded_at": letter.discarded_at}


def _corrected(letter: DeadLetter, given: dict[str, Any], caller: Caller, *, force: bool) -> uuid.UUID:
    args, kwargs = dead_letter_actions.corrected_arguments(letter, given)
    task = public(letter.task) if letter.task in registered() else None
    errors = errors_in(task, kwargs) if task else []
    if errors:
        raise refused(errors)
    rates.spend_submissions(caller.key, [task] if task else [])
    try:
        return dead_letter_actions.replay_corrected(letter, args, kwargs, actor=caller.name, force=force)
    except EnqueueError as exc:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(exc)[:2000]) from exc
    except TransitionRefused as exc:
        raise Problem(HTTPStatus.CONFLICT, str(exc)) from exc


def _letter(letter_id: uuid.UUID) -> DeadLetter:
    letter = DeadLetter.objects.filter(pk=letter_id).first()
    if letter is None:
        raise missing("dead letter", letter_id)
    return letter


def _done_before(letter: DeadLetter) -> Problem:
    if letter.is_open:
        return Problem(HTTPStatus.CONFLICT, f"Dead letter {letter.pk} was left alone: its job is not at rest.")
    done = "replayed" if letter.replayed_at else "discarded"
    return Problem(
        HTTPStatus.CONFLICT, f'Dead letter {letter.pk} was {done} before; send {{"force": true}} to replay it again.'
    )


def _through_broker(act: Any) -> Result:
    try:
        result: Result = act()
    except BrokerGone as exc:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The broker did not take a message that has no job; try again when it is back.",
            headers={"Retry-After": "10"},
        ) from exc
    return result
