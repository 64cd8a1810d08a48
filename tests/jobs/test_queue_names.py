"""No queue may bear a name that the engine or a broker gives to another: its letters would be lost there."""

import pytest
from celery import Celery
from django.conf import settings
from django.core.checks import run_checks
from kombu.entity import Queue

from jobs.brokers.lanes import lane
from jobs.core.queue_names import MOST_SIGNS, is_queue_name
from jobs.deadletters.codec import dead_queue
from jobs.errors import InvalidOption
from jobs.tasks.task import JobTask

TAKEN = ["email.dead", "email.urgent", ".dead", "a.urgent.dead", "unacked_index", "amq.topic", "celeryev.x", "x.pidbox"]


@pytest.mark.parametrize(
    "name", ["default", "email", "a-b_c.d", "dead", "urgent", "deadline", "not.urgently", "x" * 100]
)
def test_a_queue_may_be_called(name: str) -> None:
    assert is_queue_name(name)


@pytest.mark.parametrize("name", [*TAKEN, "", "a b", "a\x06\x163", "x" * (MOST_SIGNS + 1), 7, None])
def test_a_queue_may_not_be_called(name: object) -> None:
    assert not is_queue_name(name)


def test_what_the_engine_makes_beside_a_queue_is_no_name_for_another() -> None:
    for beside in (dead_queue, lane):
        assert not is_queue_name(beside("email"))


@pytest.mark.parametrize("name", TAKEN)
def test_settings_that_name_one_are_refused_at_start(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CELERY_TASK_DEFAULT_QUEUE", name, raising=False)
    monkeypatch.setattr(settings, "CELERY_TASK_QUEUES", [Queue("good"), Queue(name)], raising=False)
    errors = run_checks(tags=["jobs"])
    assert [error.id for error in errors] == ["jobs.E003", "jobs.E003"]
    assert all(repr(name) in error.msg for error in errors)


class Misplaced(JobTask):
    """A task that names a queue of the engine's own, past the decorator."""

    name = "tests.misplaced"
    queue = "email.dead"


class Routed(JobTask):
    """A task that names no queue."""

    name = "tests.routed"


def test_a_task_class_that_names_one_is_refused_when_it_is_bound() -> None:
    app = Celery(set_as_current=False, broker="memory://")
    with pytest.raises(InvalidOption, match=r"queue='email\.dead' is not valid"):
        Misplaced.bind(app)


def test_a_route_that_names_one_is_refused_when_its_task_is_bound() -> None:
    app = Celery(set_as_current=False, broker="memory://")
    app.conf.task_routes = {"tests.routed": "email.urgent"}
    with pytest.raises(InvalidOption, match=r"queue='email\.urgent' is not valid"):
        Routed.bind(app)
    assert "email.urgent" not in app.amqp.queues
