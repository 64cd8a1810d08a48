"""Breakers for tests, and what brings one into a state."""

from datetime import timedelta

from django.db.models.functions import Now

from jobs import Breaker
from jobs.core.breaker import BreakerState
from jobs.core.held_by import HeldBy
from jobs.ledger import breakers
from jobs.models import CircuitBreaker, Job
from jobs.tasks.breakers import declare
from tests.jobs.rows import written

DEPENDENCY = Breaker("tests.rows", pause=60, longest_pause=600)
declare(DEPENDENCY)

ERROR = "MailError: 421 too many connections"


def opened(name: str = DEPENDENCY.name, *, probe_in: float = 40, waiting: int = 0) -> None:
    """Let a breaker have opened by itself a minute ago."""
    breakers.add([name])
    [before] = breakers.standing([name])
    since = before.now - timedelta(seconds=60)
    status = type(before.status)(
        BreakerState.OPEN, opened_at=since, next_probe_at=before.now + timedelta(seconds=probe_in)
    )
    breakers.change(before, status, reason=ERROR)
    for _ in range(waiting):
        Job.objects.filter(pk=written(breaker=name).pk).update(held_by=HeldBy.BREAKER, held_since=Now())


def state(name: str = DEPENDENCY.name) -> str:
    """Return how a breaker stands."""
    return CircuitBreaker.objects.get(pk=name).state
