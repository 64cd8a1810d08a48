"""What follows a change of a job's state, in the transaction that makes it: groups count it, webhooks are told."""

from celery import Celery

from jobs.compose.groups import settle
from jobs.core.states import State
from jobs.enqueue.message import HasMessage
from jobs.ledger.groups import move
from jobs.webhooks.events import Change, announce


def follow(app: Celery, job: HasMessage, state: State) -> None:
    """Do what follows a job's having come into this state. Raises as `settle`."""
    settle(app, move(job.id, job.options, state))
    announce([Change(job.id, job.task, job.queue, state)])
