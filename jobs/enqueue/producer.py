"""The messages that Celery itself makes, of plain tasks and of `send_task`: without a copy of what a task hides."""

from typing import Any

from celery.app.amqp import AMQP

from jobs.tasks.redaction import HIDDEN, hidden_names


class Producer(AMQP):
    """Celery's maker of messages. It writes the arguments into the headers once more, for logs and events."""

    def as_task_v2(
        self, task_id: str, name: str, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any
    ) -> Any:
        """Return a message, as Celery does."""
        if hidden_names(name):
            options |= {"argsrepr": HIDDEN, "kwargsrepr": HIDDEN}
        return super().as_task_v2(task_id, name, args, kwargs, *rest, **options)
