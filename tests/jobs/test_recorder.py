"""What became of attempts is written once, and told once, whatever is in the way of some of it."""

import uuid
from typing import Any

import pytest
from celery import current_app
from django.db import Error as DatabaseError, connection, connections
from django.db.models.functions import Now

from jobs import job
from jobs.core.outcome import Outcome, Succeeded
from jobs.core.states import State
from jobs.models import Job
from jobs.worker.recorder import End, Recorder
from tests.jobs.delivery import InThisProcess
from tests.jobs.locks import holding, never_waiting
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

#: What the row of a job has that does not run.
ENDED = {"lease_id": None, "lease_expires_at": None}


@job(name="tests.recorded")
def recorded(fails: bool = False) -> None:
    """Succeed or not."""
    if fails:
        raise ValueError("it failed")


def ended(*ids: uuid.UUID) -> list[End]:
    """Run these jobs, and return how they ended."""
    worker = InThisProcess()
    return worker.ends(worker.run_calls([[one] for one in worker.claim(*ids)]))


def close_session() -> None:
    """Have the server end the session of this thread's connection."""
    other: Any = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [connection.connection.info.backend_pid])
    other.close()


@pytest.mark.postgres_only
def test_what_is_written_is_told_once_though_the_database_goes_away_amid_the_rest() -> None:
    plain, other = recorded.delay().id, recorded.delay().id
    followed = recorded.apply_async(link=tasks.note.si("after")).id
    ends = ended(*map(uuid.UUID, (plain, followed, other)))
    told: list[str] = []

    def tell(end: End, _: Outcome) -> None:
        told.append(end.job.id)
        if len(told) == 2:
            close_session()

    recorder = Recorder(current_app, tell)
    with pytest.raises(DatabaseError):
        recorder.write(ends)
    connection.close()
    assert [end.job.id for end in ends] == [followed]
    assert recorder.write(ends) == ends == []
    assert sorted(told) == sorted([plain, other, followed])
    assert Job.objects.filter(parent_id=followed).count() == 1


@pytest.mark.postgres_only
def test_an_end_that_somebody_is_in_the_way_of_is_tried_again_as_it_is() -> None:
    row, free = recorded.delay().job, recorded.delay().job
    ends = ended(row.pk, free.pk)
    # Its lease is lost, and what is kept of its late success needs the row that somebody holds.
    Job.objects.filter(pk=row.pk).update(state=State.DEAD, **ENDED, finished_at=Now())
    became: dict[str, Outcome] = {}
    recorder = Recorder(current_app, lambda end, outcome: became.update({end.job.id: outcome}))
    with holding(row), never_waiting():
        left = recorder.write(ends)
    assert [(end.job.id, end.outcome) for end in left] == [(str(row.pk), Succeeded())]
    assert became == {str(free.pk): Succeeded()}
    assert recorder.write(left) == []
    assert [(one.outcome, one.error_type) for one in row.attempts.all()] == [("refused", "Succeeded")]


def test_of_two_ends_of_one_job_each_is_written_with_its_own_lease() -> None:
    row = recorded.delay(fails=True).job
    [late] = ended(row.pk)
    Job.objects.filter(pk=row.pk).update(state=State.QUEUED, **ENDED)
    [now] = ended(row.pk)
    became: list[Outcome] = []
    recorder = Recorder(current_app, lambda _, outcome: became.append(outcome))
    left = [now, late]
    while left:
        left = recorder.write(left)
    row.refresh_from_db()
    assert (row.state, row.attempt, len(became)) == (State.RETRYING, 2, 2)
    assert sorted((one.number, one.outcome) for one in row.attempts.all()) == [(1, "refused"), (2, "retrying")]
