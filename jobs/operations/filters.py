"""Reading the ledger, for the API, the dashboard, the admin and the command line: one filter, the same everywhere."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar

from django.db import connection
from django.db.models import BooleanField, F, Func, Model, Q, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast, Collate
from django.utils.text import Truncator

from jobs.core.states import State
from jobs.models import DeadLetter, Job
from jobs.tasks.redaction import HIDDEN, is_hidden_somewhere, tasks_showing, tasks_taking
from jobs.tasks.registry import names_of

M = TypeVar("M", bound=Model)

#: So much of a value is kept on record, in characters.
RECORDED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs. What is not given does not restrict; all that is given must hold.

    Attributes:
        ids: these jobs.
        states, queue: exact.
        task: its name, or one that it had before: jobs of all its names are found.
        text: stands somewhere in the arguments or the latest error, in any case.
        kwargs: arguments with these values, as JSON compares them, however they were passed; a path such as
            `address.city` leads into one.
        error: stands somewhere in the latest error, in any case.
        correlation_id, parent_id: exact.
        group_id: members of this group, and jobs that lead to one.
        created_after, created_before: bounds of the time of enqueueing.
    """

    ids: tuple[uuid.UUID, ...] = ()
    states: tuple[State, ...] = ()
    queue: str = ""
    task: str = ""
    text: str = ""
    kwargs: tuple[tuple[str, Any], ...] = ()
    error: str = ""
    correlation_id: str = ""
    parent_id: uuid.UUID | None = None
    group_id: uuid.UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def jobs(self) -> QuerySet[Job]:
        """Return the jobs, the newest first."""
        found = Job.objects.filter(self._exact())
        for path, value in self.kwargs:
            found = _with_argument(found, path, value)
        if self.error:
            found = _holding(found, self.error, "last_error")
        if self.text:
            found = _holding(found, self.text, "last_error", "args", "kwargs")
        # A result may be large, and no list shows it.
        return found.defer("result").order_by("-created_at", "-id")

    def candidates(self) -> QuerySet[Job]:
        """Return jobs among which are all that match, as few as indexes lead to."""
        bounds = {"created_at__gte": self.created_after, "created_at__lt": self.created_before}
        found = Job.objects.filter(**{name: value for name, value in bounds.items() if value})
        if self.states and State.SUCCEEDED not in self.states:
            found = found.filter(state__in=self.states)
        return found.filter(last_error__gt="") if self.error else found

    def _exact(self) -> Q:
        conditions = {
            "pk__in": self.ids,
            "state__in": self.states,
            "queue": self.queue,
            "task__in": names_of(self.task) if self.task else (),
            "correlation_id": self.correlation_id,
            "parent_id": self.parent_id,
            "group_id": self.group_id,
            "created_at__gte": self.created_after,
            "created_at__lt": self.created_before,
        }
        given = {name: value for name, value in conditions.items() if value}
        # Lets either database see that a partial index has them all.
        if self.correlation_id:
            given["correlation_id__gt"] = ""
        if self.error:
            given["last_error__gt"] = ""
        return Q(**given)

    def as_json(self) -> dict[str, Any]:
        """Return what is given, for the record of an operator's action, without what a task hides."""
        given = _given(self)
        if self.kwargs:
            given["kwargs"] = [
                [path, HIDDEN if is_hidden_somewhere(path.partition(".")[0]) else _plain(value)]
                for path, value in self.kwargs
            ]
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which dead letters. What is not given does not restrict; all that is given must hold.

    Attributes:
        ids: these letters.
        queue, reason: exact.
        task: its name, or one that it had before: letters of all its names are found.
        error: the whole error; … in it stands for anything, so that errors that differ in an address or id match.
        text: stands somewhere in the error or the arguments, in any case.
        failed_after, failed_before: bounds of the time of failing.
        open_only: only those that nobody has replayed or discarded.
    """

    ids: tuple[uuid.UUID, ...] = ()
    queue: str = ""
    task: str = ""
    reason: str = ""
    error: str = ""
    text: str = ""
    failed_after: datetime | None = None
    failed_before: datetime | None = None
    open_only: bool = True

    def dead_letters(self) -> QuerySet[DeadLetter]:
        """Return the letters, the latest first."""
        conditions = {
            "pk__in": self.ids,
            "queue": self.queue,
            "task__in": names_of(self.task) if self.task else (),
            "reason": self.reason,
            "failed_at__gte": self.failed_after,
            "failed_at__lt": self.failed_before,
        }
        found = DeadLetter.objects.filter(**{name: value for name, value in conditions.items() if value})
        if self.open_only:
            found = found.filter(replayed_at__isnull=True, discarded_at__isnull=True)
        if self.error:
            found = found.filter(_is_like("error", self.error))
        if self.text:
            found = _holding(found, self.text, "error", "args", "kwargs")
        return found.order_by("-failed_at", "-id")

    def as_json(self) -> dict[str, Any]:
        """Return what is given, for the record of an operator's action."""
        return _given(self)


def _holding(rows: QuerySet[M], text: str, error: str, *arguments: str) -> QuerySet[M]:
    """Keep the rows with a text, in any case, in the error or in arguments that may be shown."""
    names = {name: f"{name}_text" for name in (error, *arguments)}
    condition = Q(**{f"{names[error]}__icontains": text})
    within = Q()
    for name in arguments:
        within |= Q(**{f"{names[name]}__icontains": text})
    if arguments:
        condition |= Q(task__in=tasks_showing()) & within
    found: QuerySet[M] = rows.alias(**{alias: _as_text(name, text) for name, alias in names.items()})
    return found.filter(condition)


def _as_text(field: str, searched: str) -> Combinable:
    cast = Cast(field, TextField())
    if connection.vendor != "postgresql" or not searched.isascii():
        return cast
    # Upper case by the rules of a language takes PostgreSQL half as long again; ASCII text needs none of them.
    return Collate(cast, "C")


def _is_like(field: str, error: str) -> Func:
    """Hold where a text is this one, … in it standing for anything."""
    return Func(
        F(field),
        Value(_pattern(error)),
        template="(%(expressions)s ESCAPE '\\')",
        arg_joiner=" LIKE ",
        output_field=BooleanField(),
    )


def _pattern(error: str) -> str:
    escaped = error.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("…", "%")


def _with_argument(jobs: QuerySet[Job], path: str, value: Any) -> QuerySet[Job]:
    """Keep the jobs whose argument has this value. What a task hides cannot be searched for."""
    name, *keys = path.split(".")
    shown = set(tasks_showing(name))
    # Paths are built by hand: in a look-up a key such as `contains` or `in` would be read as an operation.
    paths = {"named": _path("kwargs", [name, *keys])}
    conditions = Q(named=value)
    for position, tasks in tasks_taking(name).items():
        paths[f"at_{position}"] = _path("args", [position, *keys])
        conditions |= Q(**{f"at_{position}": value}, task__in=sorted(shown.intersection(tasks)))
    return jobs.alias(**paths).filter(conditions, task__in=sorted(shown))


def _path(field: str, keys: Sequence[str | int]) -> Combinable:
    found: Combinable = F(field)
    for key in keys:
        found = KeyTransform(key, found)
    return found


def _given(selection: JobFilter | DeadLetterFilter) -> dict[str, Any]:
    values = {field.name: getattr(selection, field.name) for field in fields(selection)}
    return {name: _plain(value) for name, value in values.items() if value}


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    # Of ten thousand ids none needs Django's way to count characters, which is a slow one.
    return text if len(text) <= RECORDED else Truncator(text).chars(RECORDED)
