"""An app's Django Tasks, run by real workers."""

from collections.abc import Callable
from typing import Any

from jobs.models import Job
from tests.acceptance.engine import QUICK, on_sqlite
from tests.acceptance.worker import Worker
from tests.tasks_app import django_tasks as tasks
from tests.tasks_app.effects import Effects
from tests.tasks_app.tasks_framework import TaskResult, TaskResultStatus
from tests.waiting import wait_for


@on_sqlite
def test_a_worker_runs_django_tasks_and_retries_those_that_fail(
    start_worker: Callable[..., Worker], effects: Effects
) -> None:
    start_worker(options=QUICK)
    add: TaskResult[Any] = tasks.add.enqueue(1, 2)
    later: TaskResult[Any] = tasks.add_later.enqueue(20, 22)
    retried: TaskResult[Any] = tasks.fail_twice.enqueue("tried")
    elsewhere: TaskResult[Any] = tasks.note.enqueue("elsewhere")
    results = (add, later, retried, elsewhere)

    def all_finished() -> bool:
        for result in results:
            result.refresh()
        return all(result.is_finished for result in results)

    wait_for(all_finished, 40, what="the tasks to finish")
    assert (add.return_value, later.return_value) == (3, 42)
    assert retried.return_value == {"id": retried.id, "attempt": 3}
    assert (retried.attempts, effects.count("tried"), effects.count("elsewhere")) == (3, 3, 1)
    assert [error.exception_class for error in retried.errors] == [LookupError, LookupError]
    assert elsewhere.status == TaskResultStatus.SUCCESSFUL
    assert Job.objects.get(pk=elsewhere.id).queue == "tests.other"
