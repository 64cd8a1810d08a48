"""Celery's remote control, so that on RabbitMQ no worker is locked out of it by another connection."""

import logging
import uuid
from collections.abc import Sequence
from typing import Any

from celery import current_app
from celery.app.control import Control as CeleryControl
from celery.utils.functional import maybe_list
from kombu.entity import Queue
from kombu.pidbox import Mailbox as KombuMailbox

from jobs.brokers.eventloop import outside_event_loop
from jobs.compose import groups
from jobs.core.job_ids import ledger_id
from jobs.ledger import operate
from jobs.ledger.operate import REVOKED
from jobs.ledger.sql import RowLocked

logger = logging.getLogger(__name__)


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
    """Celery's remote control, with the mailbox above. What it revokes is revoked though no worker listens."""

    Mailbox = Mailbox

    def revoke(self, task_id: Any, *args: Any, terminate: bool = False, **kwargs: Any) -> Any:
        """Cancel jobs in the ledger, and tell the workers, who know of plain tasks and of what they hold already.

        Called by every `revoke()` of Celery's results as well.
        """
        ids = [str(one) for one in maybe_list(task_id) or []]
        known = _cancel(ids, terminate=terminate)
        try:
            with self.app.connection_for_write() as connection:
                # Once: whoever revokes, a web request maybe, does not wait for a broker that is away.
                connection.ensure_connection(max_retries=0, timeout=self.app.conf.broker_connection_timeout)
                return super().revoke(task_id, *args, terminate=terminate, **{"connection": connection, **kwargs})
        except Exception as exc:
            if not known:
                raise
            logger.warning("No worker could be told of what was revoked (%s); the ledger has it.", exc)
            return None


@outside_event_loop
def _cancel(task_ids: Sequence[str], *, terminate: bool) -> bool:
    """Cancel what has not begun, and ask for the end of what runs if that is wanted. Returns whether it did any."""
    ids = [ledger_id(task_id) for task_id in task_ids]
    try:
        known = groups.cancel(ids, REVOKED)
    except RowLocked as exc:
        # A worker that is told does it when that is over.
        logger.warning("Not revoked at once: %s", exc)
        known = 0
    if terminate:
        known += operate.ask_to_cancel(ids)
    return known > 0
