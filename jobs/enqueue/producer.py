"""The messages that Celery itself makes, of plain tasks and of `send_task`: without a copy of what a task hides.

They go where jobs of the same queue go, where JOBS_BROKERS gives that queue a broker of its own.
"""

import json
from collections.abc import Callable
from typing import Any

from celery.app.amqp import AMQP, Queues
from kombu import pools
from kombu.entity import Queue

from jobs.conf import brokers
from jobs.core.canonical import encode
from jobs.enqueue.brokers import default_url, is_rabbitmq, own_url_of, url_of
from jobs.tasks.encryption import argument_texts, encrypts, is_encrypted, with_encrypted_signatures
from jobs.tasks.redaction import HIDDEN, hidden_names


class QueuesOfBrokers(Queues):
    """Celery's queues; those that JOBS_BROKERS gives to a RabbitMQ are quorum queues, as those of BROKER_URL are."""

    def __setitem__(self, name: str, queue: Queue) -> None:
        super().__setitem__(name, _fitting(queue))

    def new_missing(self, name: str) -> Queue:
        """Return a queue that nobody has declared, as its broker needs it."""
        queue: Queue = _fitting(super().new_missing(name))
        return queue


def _fitting(queue: Any) -> Any:
    url = own_url_of(queue.name)
    if url and is_rabbitmq(url):
        queue.queue_arguments = {"x-queue-type": "quorum", **(queue.queue_arguments or {})}
    return queue


class Producer(AMQP):
    """Celery's maker of messages. It writes the arguments into the headers once more, for logs and events."""

    queues_cls = QueuesOfBrokers

    def as_task_v2(
        self, task_id: str, name: str, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any
    ) -> Any:
        """Return a message, as Celery does; with nothing in clear of what a task encrypts. Raises EncryptionError."""
        if hidden_names(name):
            options |= {"argsrepr": HIDDEN, "kwargsrepr": HIDDEN}
        if encrypts(name) and not is_encrypted(kwargs):
            texts = argument_texts(encode(list(args or ())), encode(dict(kwargs or {})), encrypt=True)
            args, kwargs = map(json.loads, texts)
        # What follows it is among the others, by place or by name.
        follows = {name: with_encrypted_signatures(value) for name, value in options.items()}
        return super().as_task_v2(task_id, name, args, kwargs, *map(with_encrypted_signatures, rest), **follows)

    def _create_task_sender(self) -> Callable[..., Any]:
        """Return what sends a message of Celery's own, by a connection to the broker of its queue."""
        send: Callable[..., Any] = super()._create_task_sender()

        def send_by_queue(producer: Any, name: str, message: Any, **options: Any) -> Any:
            if not brokers():
                return send(producer, name, message, **options)
            queue = options.get("queue")
            url = url_of(self.app, getattr(queue, "name", queue)) if queue else default_url(self.app)
            with pools.producers[self.app.connection_for_write(url)].acquire(block=True) as own:
                return send(own, name, message, **options)

        return send_by_queue
