"""CELERY_TASK_ROUTES places the jobs of tasks that name no queue or priority of their own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from celery.canvas import chain

from jobs import InvalidOption, job
from jobs.models import Job
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def routed() -> Iterator[Callable[[Any], None]]:
    """Set CELERY_TASK_ROUTES for one test."""

    def set_routes(routes: Any) -> None:
        current_app.conf.task_routes = routes
        current_app.amqp.flush_routes()
        # Celery keeps the router that it made first.
        current_app.amqp._rtable = None
        vars(current_app.amqp).pop("router", None)

    yield set_routes
    set_routes(None)


def by_argument(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> Any:
    return {"near": None, "far": {"queue": "tests.other"}, "nowhere": "nowhere-at-all"}[args[0]] if args else None


@pytest.mark.parametrize(
    "routes",
    [
        {"tests.tasks_app.tasks.note": {"queue": "tests.other", "priority": 8}},
        {"tests.tasks_app.*": {"queue": "tests.other", "priority": 8}},
        ([("*.note", {"queue": "tests.other", "priority": 8})],),
    ],
    ids=["name", "pattern", "list"],
)
def test_a_route_gives_queue_and_priority(routed: Callable[[Any], None], routes: Any) -> None:
    routed(routes)
    job = tasks.note.delay("x").job
    assert (job.queue, job.priority) == ("tests.other", 8)
    assert [one.job.queue for one in tasks.note.delay_many([["y"]])] == ["tests.other"]


def test_a_route_may_be_the_name_of_a_queue_or_a_function_of_the_arguments(routed: Callable[[Any], None]) -> None:
    routed({"tests.tasks_app.tasks.note": "tests.other"})
    assert tasks.note.delay("x").job.queue == "tests.other"
    routed(by_argument)
    assert [tasks.note.delay(word).job.queue for word in ("near", "far")] == ["default", "tests.other"]


def test_the_callers_and_the_tasks_own_words_win(routed: Callable[[Any], None]) -> None:
    routed({"*": {"queue": "default", "priority": 9}})
    assert tasks.note.apply_async(["x"], queue="tests.other", priority=1).job.priority == 1
    own = tasks.elsewhere.delay("x").job
    assert (own.queue, own.priority) == ("tests.other", 2)


def test_what_follows_in_a_chain_is_routed_too(routed: Callable[[Any], None]) -> None:
    routed({"*.step": {"queue": "tests.other"}})
    chain(tasks.step.s(None, "a"), tasks.step.s("b")).apply_async()
    assert Job.objects.get().queue == "tests.other"


@pytest.mark.parametrize(
    "route, words",
    [
        (by_argument, "queue='nowhere-at-all' is not known"),
        ({"queue": "default", "exchange": "x"}, "CELERY_TASK_ROUTES gives it exchange, which has no meaning"),
        ({"priority": 12}, "priority=12 is not valid"),
    ],
    ids=["nowhere", "exchange", "priority"],
)
def test_a_route_that_leads_nowhere_is_an_error_at_the_call(
    routed: Callable[[Any], None], route: Any, words: str
) -> None:
    routed(route if callable(route) else {"*.note": route})
    with pytest.raises(InvalidOption, match=words):
        tasks.note.delay("nowhere")
    assert not Job.objects.exists()


def test_a_worker_listens_to_the_queue_that_a_route_names(routed: Callable[[Any], None]) -> None:
    routed({"tests.routed": {"queue": "tests.routed-queue"}})

    @job(name="tests.routed")
    def task() -> None: ...

    current_app.finalize()
    assert task.delay().job.queue == "tests.routed-queue"
    assert "tests.routed-queue" in current_app.amqp.queues.consume_from
