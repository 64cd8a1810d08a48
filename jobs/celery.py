"""What the engine needs of a Celery application: one call in the project's `celery.py`."""

import gc
import logging
import os
from collections.abc import Mapping
from typing import Any

from celery import Celery, current_app, signals
from celery.fixups.django import DjangoFixup, DjangoWorkerFixup
from celery.utils.text import str_to_list
from django.apps import apps
from django.conf import settings

from jobs import brokers, conf
from jobs.enqueue.brokers import TwoBrokers, is_rabbitmq, one_for
from jobs.maintenance.runner import Maintenance
from jobs.worker import sessions
from jobs.worker.orphan_guard import tie_children_to_parent

#: Seconds before a silent broker counts as gone.
SOCKET_TIMEOUT = 5


def install(app: Celery) -> None:
    """Give the application the engine's defaults and its maintenance. Settings the project has made are kept."""
    brokers.register()
    # Else a worker runs Django's checks when it starts, and drops what they say. They load the URLs and all behind
    # them: a tenth of its memory. `manage.py check` says what they find; set to nothing, they run again.
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
    app.add_defaults(_defaults)
    app.control_cls = "jobs.brokers.remote:Control"
    app.amqp_cls = "jobs.enqueue.producer:Producer"
    app.AsyncResult = app.subclass_with_self("jobs.tasks.calls:JobResult", name="AsyncResult")
    app.GroupResult = app.subclass_with_self("jobs.compose.group_results:JobGroupResult", name="GroupResult")
    logging.getLogger("celery.pool").addFilter(_tells_no_arguments)
    tie_children_to_parent()
    # The first that is sent, and the one that knows the queues: a worker makes up its mind about connections next.
    signals.celeryd_init.connect(_choose_broker, dispatch_uid="jobs.brokers")
    signals.worker_init.connect(_guard_sessions, dispatch_uid="jobs.sessions")
    # The last that is sent before the pool forks.
    signals.celeryd_after_setup.connect(_share_memory, dispatch_uid="jobs.memory")
    app.steps["worker"].add(Maintenance)


def _tells_no_arguments(record: logging.LogRecord) -> bool:
    """Return whether a line may be logged: at the level DEBUG, Celery's pools write down what each task is given."""
    return not record.msg.startswith("TaskPool: Apply")


class _SetUpOnce(DjangoWorkerFixup):
    """Sets Django up for a worker, and leaves it alone where it is up.

    The original does it at each import of the tasks, of which django-celery-beat's form asks for one whenever it is
    shown: all checks run, logging is configured anew, and the request at hand loses its script prefix.
    """

    def validate_models(self) -> None:
        if not apps.ready:
            super().validate_models()


def leave_django_alone(app: Celery) -> None:
    """Keep an application from setting Django up again; called once Django is up, with all settings read."""
    for fixup in app._fixups:  # noqa: SLF001 (Celery has no other way to it)
        if isinstance(fixup, DjangoFixup):
            fixup.worker_fixup = _SetUpOnce(app)


def for_broker(url: str) -> dict[str, Any]:
    """Return the settings that only this kind of broker needs."""
    if not is_rabbitmq(url):
        return {}
    return {
        # Replicated, and never lost with one node. They allow no prefetch limit for all queues together: each
        # queue of a worker has its own.
        "task_default_queue_type": "quorum",
        "task_create_missing_queue_type": "quorum",
    }


def _choose_broker(options: Mapping[str, Any], **_: Any) -> None:
    """Lead a worker to the broker of its queues. Ends it, with one line, where they lie on several."""
    if not conf.brokers():
        return
    app = current_app._get_current_object()  # noqa: SLF001 (the proxy is thread-bound)
    queues = str_to_list(options.get("queues")) or [*app.amqp.queues]
    left_out = str_to_list(options.get("exclude_queues")) or ()
    try:
        url = one_for(app, [queue for queue in queues if queue not in left_out])
    except TwoBrokers as exc:
        raise SystemExit(str(exc)) from None
    app.conf.update(broker_read_url=url, broker_write_url=url)


def _share_memory(**_: Any) -> None:
    """Keep what is loaded out of garbage collections: each writes to all that it visits, and no page stays shared.

    See https://docs.python.org/3.11/library/gc.html#gc.freeze.
    """
    gc.collect()
    gc.freeze()


def _guard_sessions(**_: Any) -> None:
    sessions.guard()


def _defaults() -> dict[str, Any]:
    """Return our settings under the project's own: Celery looks here before it looks into Django's settings."""
    defaults = _ours()
    for name, value in defaults.items():
        theirs = getattr(settings, f"CELERY_{name.upper().removeprefix('CELERY_')}", None)
        if theirs is not None:
            defaults[name] = {**value, **theirs} if isinstance(value, dict) else theirs
    return defaults


def _ours() -> dict[str, Any]:
    return {
        "task_default_queue": "default",
        "task_ignore_result": True,
        # Nothing expires that is not kept; else Beat would enqueue a clean-up of results.
        "result_expires": None,
        "beat_scheduler": "jobs.schedules.beat:LedgerScheduler",
        # The ledger answers what happened to a job; nothing else is kept.
        "result_backend": "jobs.compose.backend:LedgerBackend",
        "worker_prefetch_multiplier": 4,
        **for_broker(getattr(settings, "CELERY_BROKER_URL", "")),
        "worker_consumer": "jobs.worker.consumer:JobsConsumer",
        # Celery's Django fixup closes the database connection around every task, at 12 ms for each new one. Here they
        # stay open: `jobs.worker.sessions` proves them alive before a task and clean after it.
        "CELERY_DB_REUSE_MAX": 10**9,
        "broker_connection_timeout": SOCKET_TIMEOUT,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # What the broker refuses now it may take later: it may have become a replica, or be full.
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            # Who has a job is the ledger's business: the broker need not keep books of deliveries.
            "ack_emulation": False,
            "priority_steps": list(range(10)),
            "socket_connect_timeout": SOCKET_TIMEOUT,
            "socket_timeout": SOCKET_TIMEOUT * 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "confirm_publish": True,
        },
    }
