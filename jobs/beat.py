"""Beat, so that each firing happens once: two Beats are safe, and a restart neither doubles nor skips.

django-celery-beat decides what is due from what it holds in memory, enqueues, and writes down afterwards that it
did. Here the entry's row is locked and asked again, and the job, the record of the run and `last_run_at` are
written in one transaction: whoever comes second finds nothing due.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from celery.schedules import ParseException
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from jobs import schedules
from jobs.models import ScheduleRun
from jobs.task import JobTask

logger = logging.getLogger(__name__)

#: Seconds before a firing is tried again that the database did not take.
PAUSE = 1.0


class LedgerScheduler(DatabaseScheduler):
    """Celery Beat's scheduler on the database: `celery -A project beat`."""

    #: The ledger takes jobs whether the broker is there or not; the original waits for the broker before each firing.
    producer = None

    def enabled_models_qs(self) -> QuerySet[PeriodicTask]:
        """Return all enabled entries.

        The original leaves out those whose hour is more than two away, and so the runs that were missed while no
        Beat was running.
        """
        return schedules.readable().filter(enabled=True).prefetch_related("interval", "crontab", "solar", "clocked")

    def enabled_models(self) -> list[PeriodicTask]:
        """Return all enabled entries whose time can come: a mistake in one must not keep the others from running."""
        for words in schedules.unreadable():
            logger.error("%s", words)
        return [model for model in super().enabled_models() if _can_run(model)]

    def reserve(self, entry: ModelEntry) -> ModelEntry:
        """Fire an entry that looks due, if it still is. Returns the entry as it is now."""
        try:
            return self._fire(entry)
        except (self.Model.DoesNotExist, ValueError):
            # Deleted, or changed to what cannot be, since it was read; the next reading leaves it out.
            return entry
        except (DatabaseError, InterfaceError) as exc:
            logger.warning("Schedule %s could not fire, it is tried again: %s", entry.name, exc)
            connection.close()
            time.sleep(PAUSE)
            return entry

    def apply_entry(self, entry: ModelEntry, producer: Any = None) -> None:
        """Do nothing: `reserve` has fired the entry, in one transaction with the record of it."""

    def sync(self) -> None:
        """Do nothing: each firing is written down at once."""

    def _fire(self, entry: ModelEntry) -> ModelEntry:
        with transaction.atomic():
            model = self.Model.objects.select_for_update(of=("self",)).get(pk=entry.model.pk)
            current = self.Entry(model, app=self.app)
            if current.is_due().is_due:
                now = timezone.now()
                ScheduleRun.objects.create(schedule=model, due_at=due_at(current, now), job_id=self._enqueue(current))
                self.Model.objects.filter(pk=model.pk).update(last_run_at=now, total_run_count=F("total_run_count") + 1)
                model.last_run_at, model.total_run_count = now, model.total_run_count + 1
        return self.Entry(model, app=self.app)

    def _enqueue(self, entry: ModelEntry) -> Any:
        """Enqueue the entry's task. Returns the job's id; None for a task that is no job, or that was refused."""
        task = self.app.tasks.get(entry.task)
        try:
            if isinstance(task, JobTask):
                # The name goes along with the job: logs and check-ins say which schedule it is a run of.
                headers = {**(entry.options.get("headers") or {}), "periodic_task_name": entry.name}
                return task.apply_async(entry.args, entry.kwargs, **{**entry.options, "headers": headers}).id
            self.app.send_task(entry.task, entry.args, entry.kwargs, **entry.options)
        except (DatabaseError, InterfaceError):
            raise
        except Exception:
            # Tried again at its next time: an entry with wrong arguments must not keep Beat from the others.
            logger.exception("Schedule %s could not enqueue %s.", entry.name, entry.task)
        return None


def _can_run(model: PeriodicTask) -> bool:
    try:
        return model.schedule is not None
    except (ValueError, ParseException) as exc:
        logger.error("Schedule %s never runs: %s Mend it in the admin.", model.name, exc)
        return False


def due_at(entry: ModelEntry, now: datetime) -> datetime:
    """Return the time for which a due entry fires: the first one after its last run."""
    last = entry.last_run_at.astimezone(entry.app.timezone)
    due: datetime = now + entry.schedule.remaining_estimate(last)
    return (due + timedelta(milliseconds=500)).replace(microsecond=0)
