"""A chord that another program has called: its tasks run, and the log says that its body will not."""

import uuid
from typing import Any

import pytest
from celery import current_app
from celery.app.trace import build_tracer

from jobs.compose import foreign_chords
from jobs.models import Job
from tests.jobs.delivery import deliver_foreign
from tests.tasks_app import tasks
from tests.tasks_app.canvas import listed, number

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == foreign_chords.__name__]


def in_the_last_step(body: Any) -> dict[str, Any]:
    return {"chain": [{**number.si(2), "options": {"chord": body}}]}


@pytest.mark.parametrize("place", ["itself", "its chain's last step"])
def test_the_log_says_once_that_the_body_will_not_run(caplog: pytest.LogCaptureFixture, place: str) -> None:
    group_id, body = str(uuid.uuid4()), dict(listed.s())
    embedded = {"chord": body} if place == "itself" else in_the_last_step(body)
    for value in range(2):
        deliver_foreign(number.name, [value], {}, str(uuid.uuid4()), group=group_id, **embedded)
    [line] = said(caplog)
    assert number.name in line
    assert group_id in line
    assert f"its body {listed.name} will not run" in line
    assert {job.state for job in Job.objects.filter(task=number.name, attempt=1)} == {"succeeded"}
    assert not Job.objects.filter(task=listed.name).exists()


def test_each_chord_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        group_id = str(uuid.uuid4())
        deliver_foreign(number.name, [1], {}, str(uuid.uuid4()), group=group_id, chord=dict(listed.s()))
    assert len(said(caplog)) == 3


def test_what_follows_in_no_chord_is_not_told_of(caplog: pytest.LogCaptureFixture) -> None:
    deliver_foreign(number.name, [1], {}, str(uuid.uuid4()), chain=[dict(number.si(2))], group=str(uuid.uuid4()))
    assert said(caplog) == []


def test_a_plain_tasks_chord_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    group_id = str(uuid.uuid4())
    run = build_tracer(tasks.plain.name, tasks.plain, app=current_app._get_current_object())
    run(str(uuid.uuid4()), ["effect"], {}, {"chord": dict(listed.s()), "group": group_id, "task": tasks.plain.name})
    [line] = said(caplog)
    assert tasks.plain.name in line
    assert group_id in line
