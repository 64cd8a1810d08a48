"""A dead letter as JSON: the same in the API, on the command line and wherever a page hands it out."""

from typing import Any, TypedDict

from jobs.models import DeadLetter
from jobs.operations.job_json import maybe_time_json, named_arguments, time_json


class DeadLetterJson(TypedDict):
    """The fields of a dead letter that are shown outside; times in ISO 8601, UTC."""

    id: str
    job_id: str | None
    task: str
    queue: str
    reason: str
    error: str
    attempt: int
    kwargs: dict[str, Any] | None
    correlation_id: str
    failed_at: str
    archived_at: str
    replayed_at: str | None
    replay_job_id: str | None
    discarded_at: str | None


def dead_letter_json(letter: DeadLetter) -> DeadLetterJson:
    """Return a dead letter, its arguments by name and redacted; null where nobody can read them."""
    readable = letter.args is not None or letter.kwargs is not None
    return DeadLetterJson(
        id=str(letter.pk),
        job_id=None if letter.job_id is None else str(letter.job_id),
        task=letter.task,
        queue=letter.queue,
        reason=letter.reason,
        error=letter.error,
        attempt=letter.attempt,
        kwargs=named_arguments(letter.task, letter.args, letter.kwargs) if readable else None,
        correlation_id=letter.correlation_id,
        failed_at=time_json(letter.failed_at),
        archived_at=time_json(letter.archived_at),
        replayed_at=maybe_time_json(letter.replayed_at),
        replay_job_id=None if letter.replay_job_id is None else str(letter.replay_job_id),
        discarded_at=maybe_time_json(letter.discarded_at),
    )
