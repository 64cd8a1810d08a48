"""Our backend in the places of the API's own."""

# Django's own `Task` and `TaskResult` are no generic classes at run time.
from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django
from django.db import connection

from jobs.django_tasks import LedgerBackend
from jobs.django_tasks.framework import Task, TaskResult
from jobs.models import Job

if TYPE_CHECKING or django.VERSION < (6, 0):
    from django_tasks.backends import dummy, immediate
else:
    from django.tasks.backends import dummy, immediate


def _delivery() -> Any:
    # `tests` may be another package here.
    path = Path(__file__).resolve().parents[1] / "jobs" / "delivery.py"
    spec = spec_from_file_location("delivery", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["delivery"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(job_id: str) -> None:
    try:
        _delivery().deliver(Job.objects.get(pk=job_id))
    finally:
        connection.close()


class Waiting(LedgerBackend):
    """Ours where no worker is up, with what the tests ask of the dummy besides."""

    @property
    def results(self) -> list[TaskResult[Any]]:
        """All that was enqueued."""
        jobs = Job.objects.order_by("created_at", "id")
        return [self.get_result(str(job.pk)) for job in jobs]

    def clear(self) -> None:
        """Forget it."""
        Job.objects.all().delete()


class AtOnce(LedgerBackend):
    """Ours with a worker that runs a job before `enqueue()` returns, and not again."""

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._call_options = {"max_retries": 0}

    def enqueue(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> TaskResult[Any]:
        result = super().enqueue(task, args, kwargs)
        # A worker's own thread: a coroutine that enqueues has an event loop in this one.
        with ThreadPoolExecutor(1) as worker:
            worker.submit(_run, result.id).result()
        result.refresh()
        return result


def take_their_places() -> None:
    """Have the tests find ours under the names of the API's own."""
    dummy.DummyBackend = Waiting  # type: ignore[assignment, misc]
    immediate.ImmediateBackend = AtOnce  # type: ignore[assignment, misc]
