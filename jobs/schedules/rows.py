"""The rows of django-celery-beat as they stand, and what is wrong with those that cannot run.

One row never keeps others from being read: where the database holds what the ORM cannot load, rows are read one by one.
"""

from dataclasses import dataclass
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django_celery_beat.models import PeriodicTask

from jobs.schedules.plan import CannotRun, Plan, plan_of

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Entry:
    """A schedule.

    Attributes:
        row: as the database has it; one that cannot be loaded has its key, its name and its task only.
        plan: what it runs and when; None where that cannot be.
        fault: why it cannot run; empty where it can.
        is_loaded: whether all of the row could be loaded.
    """

    row: PeriodicTask
    plan: Plan | None = None
    fault: str = ""
    is_loaded: bool = True

    def runnable(self) -> PeriodicTask:
        """Return its row. Raises CannotRun where it has a fault."""
        if self.fault:
            raise CannotRun({"": self.fault})
        return self.row

    @property
    def timing_text(self) -> str:
        """When it runs, as django-celery-beat says it; empty where it cannot."""
        try:
            return str(self.row.scheduler or "")
        except Exception:  # noqa: BLE001 (it says what stands there, whatever that is)
            return ""


def entries() -> list[Entry]:
    """Return all schedules, by name."""
    return sorted(_read(Q()), key=lambda entry: str(entry.row.name))


def find(key: int) -> Entry | None:
    """Return a schedule; None where there is none of that number."""
    return next(iter(_read(Q(pk=key))), None)


def named(name: str) -> Entry | None:
    """Return a schedule; None where there is none of that name."""
    return next(iter(_read(Q(name=name))), None)


def entry_of(row: PeriodicTask) -> Entry:
    """Return the schedule of a row that is at hand."""
    try:
        return Entry(row, plan_of(row))
    except CannotRun as exc:
        return Entry(row, fault=str(exc))


def unloadable(model: type[Model]) -> list[int]:
    """Return the keys of what cannot be loaded of schedules, or of one of their timings."""
    rows = _joined() if model is PeriodicTask else model._default_manager.all()  # noqa: SLF001 (Django's public name)
    return [key for key, row in _each(rows) if isinstance(row, Exception)]


def _read(condition: Q) -> list[Entry]:
    return [
        _unread(key, row) if isinstance(row, Exception) else entry_of(row)
        for key, row in _each(_joined().filter(condition))
    ]


def _joined() -> QuerySet[PeriodicTask]:
    rows: QuerySet[PeriodicTask] = PeriodicTask.objects.select_related("interval", "crontab", "solar", "clocked")
    return rows


def _each(rows: QuerySet[M]) -> list[tuple[int, M | Exception]]:
    """Return rows by their keys: together where they can be loaded, one by one, or what is wrong, where not."""
    try:
        return [(row.pk, _named(row)) for row in rows]
    except Exception as exc:  # noqa: BLE001 (whatever a database holds that its adapter or the ORM cannot load)
        _raise_if_gone(exc)
    return [(key, _one(rows, key)) for key in rows.order_by("pk").values_list("pk", flat=True)]


def _one(rows: QuerySet[M], key: int) -> M | Exception:
    try:
        return _named(rows.get(pk=key))
    except Exception as exc:  # noqa: BLE001 (as above)
        _raise_if_gone(exc)
        return exc


def _named(row: M) -> M:
    """Return a row that can say what it is, which lists and deletions ask of it. Raises what it raises otherwise."""
    str(row)
    return row


def _unread(key: int, exc: Exception) -> Entry:
    words = f"its row {key} of the table django_celery_beat_periodictask, or its timing's, cannot be read: {exc}"
    return Entry(_stand_in(key), fault=f"{words}. Correct or delete it there.", is_loaded=False)


def _raise_if_gone(exc: Exception) -> None:
    """Raise what is no fault of a row. SQLite says of text that is none what it says of a file that cannot be read."""
    if isinstance(exc, (OperationalError, InterfaceError)) and connection.vendor != "sqlite":
        raise exc


def _stand_in(key: int) -> PeriodicTask:
    stand_in = PeriodicTask(pk=key, name=f"#{key}", enabled=True)
    for name in ("name", "task"):
        try:
            (text,) = PeriodicTask.objects.filter(pk=key).values_list(Cast(name, TextField()), flat=True)
        except Exception as exc:  # noqa: BLE001 (as above)
            _raise_if_gone(exc)
        else:
            setattr(stand_in, name, text)
    return stand_in
