"""Deliveries to webhooks in the ledger, as tests of interfaces need them."""

from typing import Any

from jobs.core.states import State
from jobs.models import Job, Webhook
from jobs.operations import webhooks
from jobs.webhooks.events import Change, announce
from tests.jobs import verbs
from tests.jobs.rows import ERROR, LEASE, claimed

#: Where they lead; what follows the host is secret.
URL = "https://crm.example.com/hooks/s3cr3t"


def webhook(**given: Any) -> Webhook:
    """Make a webhook that is told which jobs of `mail.*` have died."""
    return webhooks.create({"name": "crm", "url": URL, "states": ["dead"], "tasks": ["mail.*"], **given}, actor="bob")


def delivery(of: Webhook) -> Job:
    """Let a job die, and return the one that is to tell of it."""
    job = claimed(task="mail.send", queue="email")
    assert verbs.die(job.pk, LEASE, ERROR)
    announce([Change(job.pk, job.task, job.queue, State.DEAD)])
    return of.deliveries.latest("pk").job


def died(of: Webhook, error: str = "it answered <404>") -> Job:
    """Let a job die, and the one that is to tell of it as well: the receiver has answered 404."""
    job = delivery(of)
    of.deliveries.filter(job=job).update(status=404, seconds=0.25)
    Job.objects.filter(pk=job.pk).update(state=State.DEAD, finished_at=job.created_at, last_error=error)
    job.refresh_from_db()
    return job
