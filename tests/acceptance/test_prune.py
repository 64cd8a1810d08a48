"""What is past its time goes while a worker runs."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from jobs.core.states import State
from jobs.models import Job
from tests.acceptance.engine import QUICK, on_sqlite
from tests.acceptance.worker import Worker
from tests.jobs.rows import in_state
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("database"), on_sqlite]


def test_a_worker_prunes_what_is_past_its_retention(start_worker: Callable[..., Worker]) -> None:
    old, young = in_state(State.SUCCEEDED), in_state(State.SUCCEEDED)
    Job.objects.filter(pk=old.pk).update(changed_at=F("changed_at") - timedelta(days=8))
    start_worker(pool="threads", concurrency=1, options=QUICK)
    assert wait_for(lambda: not Job.objects.filter(pk=old.pk).exists(), 20)
    assert Job.objects.filter(pk=young.pk).exists()
