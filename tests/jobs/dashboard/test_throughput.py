"""The charts' figures."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from jobs.core.states import State
from jobs.models import Job
from jobs.reports import throughput
from jobs.reports.throughput import SPANS, WAITS, percentile
from tests.jobs.rows import in_state

HOUR = SPANS["hour"]


def ended(minutes_ago: float, waited: float, state: State = State.SUCCEEDED) -> Job:
    job = in_state(state)
    at = timezone.now() - timedelta(minutes=minutes_ago)
    begun = at - timedelta(seconds=1)
    Job.objects.filter(pk=job.pk).update(
        finished_at=at, changed_at=at, started_at=begun, run_at=begun - timedelta(seconds=waited)
    )
    return job


@pytest.mark.django_db
def test_jobs_count_where_they_ended() -> None:
    for _ in range(3):
        ended(10, waited=0.04)
    ended(10, waited=4, state=State.DEAD)
    ended(30, waited=1, state=State.CANCELLED)
    ended(90, waited=1)
    steps = throughput.throughput(HOUR, timezone.now())
    assert len(steps) == 60
    assert sum(step.succeeded for step in steps) == 3
    step = next(step for step in steps if step.succeeded)
    assert (step.succeeded, step.dead, step.cancelled) == (3, 1, 0)
    assert step.wait_median is not None
    assert 0.03 <= step.wait_median <= 0.05
    assert step.wait_p95 is not None
    assert 3 <= step.wait_p95 <= 5


@pytest.mark.django_db
def test_what_is_over_is_counted_once() -> None:
    ended(10, waited=1)
    first = throughput.throughput(HOUR, timezone.now())
    with CaptureQueriesContext(connection) as captured:
        again = throughput.throughput(HOUR, timezone.now())
    assert [step.total for step in again] == [step.total for step in first]
    assert len(captured) == 1
    Job.objects.all().delete()
    assert sum(step.total for step in throughput.throughput(HOUR, timezone.now())) == 1


def test_a_percentile_is_read_within_its_class() -> None:
    waits = [0] * (len(WAITS) + 1)
    assert percentile(waits, 0.5) is None
    waits[WAITS.index(1)] = 100
    assert percentile(waits, 0.5) == pytest.approx(0.875)
    waits[-1] = 1
    assert percentile(waits, 1) == WAITS[-1]
