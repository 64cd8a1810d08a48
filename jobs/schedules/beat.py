"""Beat, so that each firing happens once: two Beats are safe, and a restart neither doubles nor skips.

django-celery-beat decides what is due from what it holds in memory, enqueues, and writes down afterwards that it
did. Here the entry's row is locked and asked again, and the job, the record of the run and `last_run_at` are
written in one transaction: whoever comes second finds nothing due.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from celery import Celery, current_app
from celery.schedules import schedstate
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry
from django_celery_beat.utils import NEVER_CHECK_TIMEOUT

from jobs import schedules
from jobs.models import ScheduleRun
from jobs.schedules import CannotRun, plan_of
from jobs.schedules.runs import counted_from
from jobs.schedules.times import Cron
from jobs.tasks.task import JobTask

logger = logging.getLogger(__name__)

#: Seconds before a firing is tried again that the database did not take.
PAUSE = 1.0


class ScheduleEntry(ModelEntry):
    """A schedule that can run.

    The original's times are those of Celery's crontab, which knows no hour that comes twice, and it counts a first run
    from thirty years ago; and it saves, while it reads them, rows that it cannot read.
    """

    def __init__(self, model: PeriodicTask, app: Celery | None = None) -> None:
        """Read a row. Raises CannotRun for one that cannot run."""
        plan = plan_of(model)
        self.app = app or current_app._get_current_object()  # noqa: SLF001 (as the original)
        self.model = model
        self.plan = plan
        self.name, self.task, self.schedule = model.name, model.task, plan.timing
        self.args, self.kwargs, self.options = plan.args, plan.kwargs, plan.options
        self.last_run_at, self.total_run_count = model.last_run_at, model.total_run_count

    def default_now(self) -> datetime:
        """Return the time it is; the original asks a schedule of Celery's."""
        return timezone.now()

    def due_at(self, now: datetime) -> datetime | None:
        """Return the time for which it has to run, which may have passed; None where there is none."""
        due = schedules.due_at(self.model, self.plan.timing, now)
        deadline = self.app.conf.beat_cron_starting_deadline
        if due is not None and deadline is not None and isinstance(self.plan.timing, Cron):
            return max(due, self.plan.timing.after(now - timedelta(seconds=deadline)) or due)
        return due

    def is_due(self) -> schedstate:
        """Return whether it has to run now, and in how many seconds to ask again."""
        now = timezone.now()
        if self.model.enabled and self._has_ended(now):
            self._switch_off()
        due = self.due_at(now) if self.model.enabled else None
        if due is None:
            return schedstate(is_due=False, next=NEVER_CHECK_TIMEOUT)
        if due > now:
            return schedstate(is_due=False, next=(due - now).total_seconds())
        following = self.plan.timing.after(now)
        return schedstate(
            is_due=True, next=NEVER_CHECK_TIMEOUT if following is None else (following - now).total_seconds()
        )

    def _has_ended(self, now: datetime) -> bool:
        expires = self.model.expires
        return bool((expires and now >= expires) or (self.model.one_off and self.model.total_run_count))

    def _switch_off(self) -> None:
        """Switch it off. Only this is written: what somebody changes in its row meanwhile stands."""
        self.model.enabled = False
        rows = PeriodicTask.objects.filter(pk=self.model.pk, enabled=True)
        if rows.update(
            enabled=False, last_run_at=None, total_run_count=0 if self.model.one_off else F("total_run_count")
        ):
            PeriodicTasks.update_changed()


class LedgerScheduler(DatabaseScheduler):
    """Celery Beat's scheduler on the database: `celery -A project beat`."""

    Entry = ScheduleEntry

    #: The ledger takes jobs whether the broker is there or not; the original waits for the broker before each firing.
    producer = None

    def all_as_schedule(self) -> dict[str, ScheduleEntry]:
        """Return all enabled schedules that can run, and log which cannot.

        The original leaves out those whose hour is more than two away, and so the runs that were missed while no
        Beat was running.
        """
        try:
            read = schedules.entries()
        except (OperationalError, InterfaceError) as exc:
            known: dict[str, ScheduleEntry] | None = self._schedule
            if known is None:
                raise
            logger.warning("The schedules could not be read, what is known of them holds: %s", exc)
            connection.close()
            time.sleep(PAUSE)
            return known
        found = {}
        for entry in read:
            if entry.row.enabled and entry.fault:
                logger.error("Schedule %s cannot run: %s", entry.row.name, entry.fault)
            elif entry.row.enabled:
                _mend_times_to_come(entry.row)
                found[entry.row.name] = self.Entry(entry.row, app=self.app)
        return found

    def reserve(self, entry: ScheduleEntry) -> ScheduleEntry:
        """Fire an entry that looks due, if it still is. Returns the entry as it is now."""
        try:
            return self._fire(entry)
        except (self.Model.DoesNotExist, CannotRun):
            # Deleted, or changed to what cannot be, since it was read, or another Beat fires it; reading again tells.
            return entry
        except (OperationalError, InterfaceError) as exc:
            logger.warning("Schedule %s could not fire, it is tried again: %s", entry.name, exc)
            connection.close()
            time.sleep(PAUSE)
            # All are read again, and what is due then is fired.
            self._last_full_sync = datetime.min  # noqa: DTZ901 (the original's are without a zone)
            return entry
        except Exception:
            logger.exception("Schedule %s could not fire; it is tried at its next time.", entry.name)
            return entry

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Do nothing: `reserve` has fired the entry, in one transaction with the record of it."""

    def sync(self) -> None:
        """Do nothing: each firing is written down at once."""

    def _fire(self, entry: ScheduleEntry) -> ScheduleEntry:
        with transaction.atomic():
            # One that somebody holds, another Beat or an open transaction, keeps none of the others waiting.
            model = self.Model.objects.select_for_update(of=("self",), skip_locked=True).get(pk=entry.model.pk)
            current = self.Entry(model, app=self.app)
            now = timezone.now()
            due = current.due_at(now) if model.enabled else None
            if due is not None and due <= now:
                run, is_first = ScheduleRun.objects.get_or_create(schedule=model, due_at=due)
                if is_first:
                    run.job_id = self._enqueue(current)
                    run.save(update_fields=["job_id"])
                # Where the clock was ahead, it has run for this time: what is left is to count on.
                self.Model.objects.filter(pk=model.pk).update(last_run_at=now, total_run_count=F("total_run_count") + 1)
                model.last_run_at, model.total_run_count = now, model.total_run_count + 1
        return self.Entry(model, app=self.app)

    def _enqueue(self, entry: ScheduleEntry) -> Any:
        """Enqueue the entry's task. Returns the job's id; None for a task that is no job, or that was refused."""
        try:
            with transaction.atomic():
                if isinstance(entry.plan.task, JobTask):
                    return entry.plan.task.apply_async(entry.args, entry.kwargs, **entry.options).id
                self.app.send_task(entry.task, entry.args, entry.kwargs, **entry.options)
        except (DatabaseError, InterfaceError):
            raise
        except Exception:
            # Tried again at its next time: an entry with wrong arguments must not keep Beat from the others.
            logger.exception("Schedule %s could not enqueue %s.", entry.name, entry.task)
        return None


def _mend_times_to_come(row: PeriodicTask) -> None:
    """Write down from when a schedule counts whose own times have yet to come; else that moves on with the clock."""
    now = timezone.now()
    told = row.date_changed if row.last_run_at is None else row.last_run_at
    if told <= now or (row.last_run_at is None and (row.start_time or row.clocked)):
        return
    since = counted_from(row, now)
    logger.warning("Schedule %s: its last run, %s, has yet to come; it counts from %s.", row.name, told, since)
    PeriodicTask.objects.filter(pk=row.pk).update(last_run_at=since)
    row.last_run_at = since
