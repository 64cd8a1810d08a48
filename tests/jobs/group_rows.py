"""Groups as tests need them: some members have ended, well or not, and others go on."""

from celery import current_app

from jobs import new_group
from jobs.compose.groups import settle
from jobs.core.states import State
from jobs.ledger.attempts import Failure
from jobs.ledger.groups import move
from jobs.models import Job, JobGroup
from jobs.worker.deliveries import new_lease
from tests.jobs import verbs
from tests.jobs.rows import claim_as
from tests.tasks_app.canvas import listed, number, tell


def group_of(size: int = 4, *, succeeded: int = 0, dead: int = 0) -> JobGroup:
    """Return a group in which the first members have succeeded, the next ones are dead, and the others wait."""
    with new_group(listed.s(), on_dead=tell.s("bad")) as made:
        number.delay_many([(value,) for value in range(size)], group_id=made.id)
    members = list(Job.objects.filter(group_id=made.id).order_by("group_index"))
    for job in members[: succeeded + dead]:
        lease = new_lease()
        claim_as(job, lease, 60, "worker@test")
        if job in members[:succeeded]:
            verbs.succeed(job.pk, lease)
            settle(current_app, move(job.pk, job.options, State.SUCCEEDED))
        else:
            verbs.die(job.pk, lease, Failure("Permanent", "it fails"))
            settle(current_app, move(job.pk, job.options, State.DEAD))
    return JobGroup.objects.get(pk=made.id)
