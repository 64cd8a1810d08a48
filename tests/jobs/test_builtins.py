"""Celery's own tasks as jobs: `task.map`, `starmap` and `chunks` keep what the task that they call would keep."""

import asyncio
from typing import Any

import pytest
from celery import chain, chord, current_app, group, shared_task
from celery.canvas import Signature, xmap

from jobs import Batch, Permanent, Snooze, job, step
from jobs.core.states import State
from jobs.errors import EnqueueError
from jobs.models import Job
from tests.jobs.delivery import deliver, deliver_foreign
from tests.servers import Valkey
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

called: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_called(valkey: Valkey) -> None:
    called.clear()


@job(name="tests.builtins.add", queue="email", priority=8, max_retries=3, time_limit=7, ignore_result=False)
def add(x: int, y: int = 1) -> int:
    called.append(x)
    return x + y


@job(name="tests.builtins.awaited", ignore_result=False)
async def awaited(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


@shared_task(name="tests.builtins.plain", ignore_result=False)  # type: ignore[untyped-decorator]
def plain(x: int) -> int:
    return x + 1


@job(name="tests.builtins.silent")
def silent(x: int) -> object:
    return object()


@job(name="tests.builtins.fails", max_retries=1, retry_backoff=10, retry_jitter=False, dont_autoretry_for=(KeyError,))
def fails(kind: str) -> None:
    called.append(kind)
    if error := {
        "again": LookupError("not yet"),
        "never": Permanent("no use"),
        "key": KeyError("no"),
        "later": Snooze(60),
    }.get(kind):
        raise error


@job(name="tests.builtins.stepping", ignore_result=False)
def stepping(x: int) -> Any:
    return step("the same name for each", add.run, x)


@job(name="tests.builtins.batch", batch=3)
def batched(batch: Batch[int]) -> None: ...


@job(name="tests.builtins.hides", redact=("secret",))
def hides(secret: str) -> None: ...


def run_all() -> None:
    """Deliver queued jobs until none is left."""
    while (row := Job.objects.filter(state=State.QUEUED).order_by("created_at", "id").first()) is not None:
        deliver(row)


@pytest.mark.parametrize(
    "call, returned",
    [
        (lambda: add.map([1, 2, 3]), [2, 3, 4]),
        (lambda: add.map([]), []),
        (lambda: add.starmap([(1, 2), (3, 4)]), [3, 7]),
        (lambda: add.chunks(zip(range(5), range(5), strict=True), 2), [[0, 2], [4, 6], [8]]),
        (lambda: awaited.map([1, 2]), [2, 3]),
        (lambda: plain.map([1, 2]), [2, 3]),
        (lambda: stepping.map([1, 2]), [2, 3]),
        (lambda: group(add.starmap([(1, 1)]), add.s(3, 3)), [[2], 6]),
        (lambda: chain(add.si(1, 1), add.map([2, 3])), [3, 4]),
        (lambda: chord([add.map([1]), add.map([2])], current_app.tasks["jobs.accumulate"].s()), [[2], [3]]),
        (lambda: current_app.tasks["celery.accumulate"].s(1, 2), [1, 2]),
        (lambda: current_app.tasks["celery.accumulate"].s(1, 2, index=1), 2),
    ],
)
def test_what_is_called_for_many_items_returns_what_celerys_would(call: Any, returned: Any) -> None:
    result = call().apply_async()
    run_all()
    assert result.get(timeout=5) == returned


def test_a_job_for_many_items_is_as_the_task_says_that_it_calls() -> None:
    row = Job.objects.get(pk=add.map([1, 2]).apply_async().id)
    assert (row.task, row.queue, row.priority, row.max_retries) == ("celery.map", "email", 8, 3)
    assert row.options == {"time_limit": 14}
    said = Job.objects.get(pk=add.map([1]).set(queue="default", priority=1, time_limit=3).apply_async().id)
    assert (said.queue, said.priority, (said.options or {})["time_limit"]) == ("default", 1, 3)


def test_results_are_kept_where_the_task_that_is_called_keeps_its_own_or_the_call_says_so() -> None:
    unkept, said = silent.map([1]).apply_async(), fails.map(["ok"]).set(ignore_result=False).apply_async()
    run_all()
    assert (unkept.get(timeout=5), said.get(timeout=5)) == (None, [None])


def test_an_item_that_fails_is_tried_again_as_its_task_says_and_its_error_is_that_of_the_job() -> None:
    result = fails.map(["ok", "again"]).apply_async()
    row = Job.objects.get(pk=result.id)
    deliver(row)
    assert (row.state, row.last_error, row.attempt) == (State.RETRYING, "LookupError: not yet", 1)
    assert 9 < (row.run_at - row.attempts.get().finished_at).total_seconds() < 11
    Job.objects.filter(pk=row.pk).update(state=State.QUEUED)
    deliver(row)
    assert (row.state, called) == (State.DEAD, ["ok", "again"] * 2)
    with pytest.raises(LookupError, match="not yet"):
        result.get(timeout=5)


@pytest.mark.parametrize(
    "kind, state, attempts",
    [("never", State.DEAD, 1), ("key", State.DEAD, 1), ("later", State.SCHEDULED, 0)],
)
def test_what_an_item_says_of_its_job_is_heard(kind: str, state: State, attempts: int) -> None:
    row = Job.objects.get(pk=fails.map([kind]).apply_async().id)
    deliver(row)
    assert (row.state, row.attempt) == (state, attempts)


def test_what_another_program_asks_for_is_a_job_too() -> None:
    ids = {name: str(tasks.noop.delay().id) for name in ("celery.starmap", "celery.chunks")}
    Job.objects.all().delete()
    deliver_foreign("celery.starmap", [], {"task": dict(add.s()), "it": [[1, 2]]}, ids["celery.starmap"])
    assert current_app.AsyncResult(ids["celery.starmap"]).get(timeout=5) == [3]
    deliver_foreign("celery.chunks", [], {"task": dict(add.s()), "it": [[1, 2], [3, 4]], "n": 1}, ids["celery.chunks"])
    run_all()
    (group_id, _), members = current_app.AsyncResult(ids["celery.chunks"]).get(timeout=5)
    assert Job.objects.filter(group_id=group_id, state=State.SUCCEEDED).count() == len(members) == 2


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: xmap(Signature("nobody.knows"), [1]), r"celery\.map: task=.*nobody\.knows.* names no task"),
        (lambda: add.map([1, {"of": "it"}, "a", 2]).set(queue="nowhere"), "queue='nowhere' is not known"),
        (lambda: add.starmap([(1, 2), (1, 2, 3)]), r"celery\.starmap: item 1: tests\.builtins\.add: .*too many"),
        (lambda: add.starmap([(1, 2), 3]), r"item 1 is 3: it must be a list of arguments"),
        (lambda: add.chunks([(1, 2), 3], 2), r"celery\.starmap: item 1 is 3: it must be a list of arguments"),
        (lambda: current_app.tasks["celery.map"].s(add.s(), "text"), r"it='text' is not valid: it must be a list"),
        (lambda: current_app.tasks["celery.map"].s(7, [1]), r"task=7 names no task"),
        (lambda: current_app.tasks["celery.map"].s({"args": []}, [1]), r"names no task"),
        (lambda: current_app.tasks["celery.map"].s(add.s()), r"do not fit the task's signature"),
        (lambda: batched.map([1]), r"tests\.builtins\.batch takes batches: .*delay_many"),
        (lambda: hides.map(["key"]), r"tests\.builtins\.hides hides arguments.*: enqueue a job for each"),
        (lambda: add.map([object()]), "cannot be written as JSON"),
    ],
)
def test_what_cannot_be_called_for_items_is_refused_at_the_call(call: Any, says: str) -> None:
    with pytest.raises(EnqueueError, match=says):
        call().apply_async()
    assert not Job.objects.exists()


def test_a_worker_that_does_not_know_the_task_holds_the_job_back() -> None:
    row = Job.objects.get(pk=add.map([1]).apply_async().id)
    Job.objects.filter(pk=row.pk).update(kwargs={"task": {**dict(add.s()), "task": "a.newer.one"}, "it": [1]})
    deliver(row)
    assert (row.state, row.held_by, row.attempt) == (State.QUEUED, "invalid", 0)


def test_where_tasks_run_at_once_they_do_so_for_items() -> None:
    assert add.map([1, 2]).apply().get() == [2, 3]
    with pytest.raises(LookupError, match="not yet"):
        fails.map(["again"]).apply().get()


@pytest.mark.parametrize(
    "name", ["celery.backend_cleanup", "celery.chain", "celery.chord", "celery.chord_unlock", "celery.group"]
)
def test_the_others_of_celery_are_no_jobs(name: str) -> None:
    assert not hasattr(current_app.tasks[name], "check_arguments")
