"""What people do with schedules."""

import uuid

from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks

from jobs.errors import UnknownTask
from jobs.models import OperatorAction, ScheduleRun
from jobs.schedules.plan import options_now, plan_of
from jobs.tasks.task import JobTask


def run_now(row: PeriodicTask, *, actor: str) -> uuid.UUID:
    """Enqueue a schedule's job at once, beside its regular runs.

    Returns:
        The job's id.

    Raises:
        UnknownTask: its task is no job registered here.
        jobs.schedules.CannotRun: its row asks for what cannot be done.
        EnqueueError: its job is refused.
    """
    plan = plan_of(row)
    if not isinstance(plan.task, JobTask):
        raise UnknownTask(f"Schedule {row.name!r}: its task {row.task!r} is no job.")
    with transaction.atomic():
        result = plan.task.apply_async(plan.args, plan.kwargs, **options_now(plan, timezone.now()))
        job_id = uuid.UUID(result.id)
        ScheduleRun.objects.create(schedule=row, due_at=timezone.now(), job_id=job_id, asked_by=actor)
        OperatorAction.objects.create(action="run schedule", actor=actor, target={"schedule": row.name})
    return job_id


def switch(row: PeriodicTask, *, on: bool, actor: str) -> None:
    """Let a schedule run at its times, or let it rest."""
    # Its row is updated, not saved: one with a fault is refused by its own `save`, and can be switched off all the
    # same. As there, one that rests forgets its last run, so that it does not make up for its rest.
    changed = {"enabled": on, "date_changed": timezone.now(), **({} if on else {"last_run_at": None})}
    with transaction.atomic():
        PeriodicTask.objects.filter(pk=row.pk).update(**changed)
        PeriodicTasks.update_changed()
        action = "enable schedule" if on else "disable schedule"
        OperatorAction.objects.create(action=action, actor=actor, target={"schedule": row.name})
