"""Celery's remote control, so that on RabbitMQ no worker is locked out of it by another connection."""

import uuid

from celery import current_app
from celery.app.control import Control as CeleryControl
from kombu.entity import Queue
from kombu.pidbox import Mailbox as KombuMailbox


class Mailbox(KombuMailbox):
    """Kombu's mailbox, with a queue of each connection's own on RabbitMQ.

    The queue by which a worker hears belongs to one connection alone (RabbitMQ 4.3 refuses any other that does not
    last), and has the worker's name. So a second worker of that name, or the same one whose lost connection RabbitMQ
    has not noticed yet, would be refused, and end.
    """

    def get_queue(self, hostname: str) -> Queue:
        """Return the queue by which a worker hears."""
        queue: Queue = super().get_queue(hostname)
        if current_app.connection_for_read().transport.driver_type == "amqp":
            queue.name = f"{queue.name}.{uuid.uuid4().hex}"
        return queue


class Control(CeleryControl):
    """Celery's remote control, with the mailbox above."""

    Mailbox = Mailbox
