"""The application of the suite: the project's, with Celery's test tasks as jobs."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "suite_settings")

import celery
from django.apps import apps

from project.celery import app

app.loader.override_backends = {"redis": "jobs.compose.backend:LedgerBackend"}

#: What `@job` says in other words than `@shared_task`, or not at all.
_UNKNOWN = frozenset({"typing", "acks_late", "base", "retry_kwargs"})


def as_job(*args: Any, **options: Any) -> Any:
    """Declare a task by `@job` as `@shared_task` would: it keeps its results and tries nothing again by itself."""
    from jobs import job  # noqa: PLC0415 (Django must be ready)

    def declare(function: Any) -> Any:
        given = {name: value for name, value in options.items() if name not in _UNKNOWN}
        defaults = {
            "queue": "celery",
            "max_retries": 3,
            "autoretry_for": (),
            "ignore_result": False,
            "time_limit": None,
        }
        soft = given.pop("soft_time_limit", None)
        # Of one that is longer than the hard limit a test wants that its call is refused, and not its declaration.
        is_too_long = soft is not None and soft > (given.get("time_limit") or soft)
        limits = {"soft_time_limit": soft} if soft and not is_too_long else {}
        made: Any = job(**{**defaults, **given, **limits})(function)  # type: ignore[no-untyped-call]
        if is_too_long:
            made.soft_time_limit = soft
        on_replace = vars(options.get("base") or object).get("on_replace")
        if on_replace is not None:
            type(made).on_replace = _with_super(on_replace)
        return made

    return declare(args[0]) if args else declare


def _with_super(on_replace: Any) -> Any:
    """Return a base class's `on_replace` as a task's own: its `super()` is the task's then."""

    def stamped(self: Any, sig: Any) -> Any:
        from t.integration.tasks import StampOnReplace  # type: ignore[import-not-found]  # noqa: PLC0415

        from jobs import JobTask  # noqa: PLC0415

        sig.stamp(StampOnReplace())
        return JobTask.on_replace(self, sig)

    return stamped


celery.shared_task = as_job

__all__ = ["app", "apps"]
