"""An hour of history: jobs that have ended, as a ledger keeps them after an hour in which not all went well.

Rows are written as they would be; nothing ran. All of them have the correlation id `demo-history`, by which they are
found and told from what ran here.
"""

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from jobs.core.states import State
from jobs.models import Attempt, DeadLetter, Job

CORRELATION = "demo-history"
MINUTES = 60
JOBS = 320

_WORKER = "worker@last-night"
_SUBJECTS = ("Your weekly digest", "A reply to your post", "Three new posts", "Your export is ready")
_LATER = ("MailError", "The server puts the mail off: 451 4.7.1 Greylisted, come back in a minute.")
_REFUSED = ("Permanent", "The server refuses the mail: 550 5.1.1 No such mailbox.")

Draw = random.Random


@dataclass(frozen=True)
class _Kind:
    """A task of this site, how often it comes, how long it takes, and how often it has to try again or gives up."""

    task: str
    queue: str
    share: float
    seconds: float
    kwargs: Callable[[Draw], dict[str, Any]]
    retries: int
    again: float = 0.0
    dying: float = 0.0


def _mail(draw: Draw) -> dict[str, Any]:
    to = f"reader{draw.randrange(900)}@example.com"
    return {"kind": "custom", "to": to, "subject": draw.choice(_SUBJECTS), "body": "Good evening."}


def _keys(draw: Draw) -> dict[str, Any]:
    return {"store_name": "content", "keys": [f"posts/{draw.getrandbits(64):016x}/original.jpg"]}


def _post(draw: Draw) -> dict[str, Any]:
    return {"kind": "post", "pk": str(uuid.UUID(int=draw.getrandbits(128), version=4))}


_KINDS = (
    _Kind("mail.send", "email", 0.62, 0.09, _mail, 60, again=0.07, dying=0.02),
    _Kind("search.index", "indexing", 0.25, 0.03, _post, 5),
    _Kind("storage.delete", "storage", 0.13, 0.2, _keys, 5),
)


@dataclass(frozen=True)
class _Past:
    """What became of one job: when its last attempt began and ended, and the error of one that failed, if one did."""

    job: Job
    began: datetime
    ended: datetime

    @property
    def dead(self) -> bool:
        return self.job.state == State.DEAD


def write(*, number: int = 1) -> None:
    """Write the rows, in the caller's transaction; the same number gives the same hour."""
    draw, now = random.Random(number), timezone.now()  # noqa: S311
    past = [_past(draw, created) for created in _times(draw, now)]
    Job.objects.bulk_create([one.job for one in past], batch_size=500)
    Attempt.objects.bulk_create([_failed_attempt(one) for one in past if one.job.last_error])
    DeadLetter.objects.bulk_create([_dead_letter(one) for one in past if one.dead])


def _times(draw: Draw, now: datetime) -> Iterator[datetime]:
    """Return when they were enqueued: evenly, with a rush a while ago."""
    for index in range(JOBS):
        minutes = draw.gauss(22, 2.5) if index % 4 == 0 else draw.uniform(2, MINUTES)
        yield now - timedelta(minutes=min(max(minutes, 2), MINUTES))


def _past(draw: Draw, created: datetime) -> _Past:
    kind = draw.choices(_KINDS, [one.share for one in _KINDS])[0]
    dead = draw.random() < kind.dying
    failures = 1 if dead or draw.random() < kind.again else 0
    # The first try, and after a failure that may pass another one a second later.
    attempt = 1 if dead else 1 + failures
    due = created + timedelta(seconds=attempt - 1)
    started = due + timedelta(seconds=draw.lognormvariate(-4, 0.9))
    ended = started + timedelta(seconds=kind.seconds * draw.lognormvariate(0, 0.5))
    job = Job(
        id=uuid.UUID(int=(int(created.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | draw.getrandbits(61)),
        task=kind.task,
        queue=kind.queue,
        state=State.DEAD if dead else State.SUCCEEDED,
        args=[],
        kwargs=kind.kwargs(draw),
        attempt=attempt,
        max_retries=kind.retries,
        created_at=created,
        run_at=due,
        dispatched_at=due,
        started_at=started,
        finished_at=ended,
        changed_at=ended,
        worker=_WORKER,
        last_error=": ".join(_REFUSED if dead else _LATER) if failures else "",
        correlation_id=CORRELATION,
    )
    return _Past(job, started, ended)


def _failed_attempt(past: _Past) -> Attempt:
    """Return what explains its error: the only attempt of a dead job, the first of one that succeeded after all."""
    job = past.job
    error_type, _, error = job.last_error.partition(": ")
    began = past.began if past.dead else job.created_at
    return Attempt(
        job_id=job.pk,
        number=1,
        outcome="dead" if past.dead else "retrying",
        error_type=error_type,
        error=error,
        worker=job.worker,
        started_at=began,
        finished_at=past.ended if past.dead else began + timedelta(seconds=0.05),
    )


def _dead_letter(past: _Past) -> DeadLetter:
    job = past.job
    return DeadLetter(
        id=uuid.uuid4(),
        job_id=job.pk,
        task=job.task,
        queue=job.queue,
        routing_key=job.queue,
        reason="permanent",
        error=job.last_error,
        attempt=job.attempt,
        correlation_id=job.correlation_id,
        failed_at=past.ended,
        body=json.dumps([job.args, job.kwargs, {}]).encode(),
        content_type="application/json",
        content_encoding="utf-8",
        headers={"task": job.task, "id": str(job.pk), "lang": "py", "x-original-queue": job.queue},
        properties={"correlation_id": str(job.pk)},
        args=job.args,
        kwargs=job.kwargs,
    )
