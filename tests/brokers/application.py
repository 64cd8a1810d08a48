"""The Celery application of this process, led to another broker."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from celery import current_app
from django.test import override_settings
from kombu import pools

from jobs import JobTask
from jobs.celery import for_broker
from jobs.enqueue import dispatcher

_QUEUE_TYPES = {"task_default_queue_type": "classic", "task_create_missing_queue_type": "classic"}


@contextmanager
def application_at(url: str, brokers: Mapping[str, str] | None = None) -> Iterator[None]:
    """Let whatever this process sends go to other brokers, as if it had been started with this BROKER_URL.

    And with these JOBS_BROKERS, by queue.
    """
    app: Any = current_app._get_current_object()
    earlier = {name: app.conf[name] for name in ("broker_url", *_QUEUE_TYPES)}
    try:
        with override_settings(CELERY_BROKER_URL=url, JOBS_BROKERS=brokers or {}):
            _lead(app, {"broker_url": url, **_QUEUE_TYPES, **for_broker(url)})
            yield
            dispatcher.flush()
    finally:
        _lead(app, earlier)


def _lead(app: Any, settings: dict[str, Any]) -> None:
    dispatcher.flush()
    pools.reset()
    app.conf.update(settings)
    app._pool = None
    for cached in ("amqp", "control", "events"):
        app.__dict__.pop(cached, None)
    for task in app.tasks.values():
        if isinstance(task, JobTask):
            type(task).on_bound(app)
