"""The form of a new job: what was typed, what it means, and what is wrong beside each field."""

import dataclasses
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from jobs.core.priority import PRIORITIES
from jobs.operations.arguments import errors_in
from jobs.operations.submissions import MOST_JOBS, Choice, errors_in_queue
from jobs.operations.task_fields import NOTHING, Field, fields_of
from jobs.operations.values import OddValue, read_json
from jobs.tasks.task import JobTask

#: So many errors are told beside one field.
_MOST_TOLD = 10


@dataclasses.dataclass
class Input:
    """A field of the form as it is shown.

    Attributes:
        name: under which the browser sends it.
        typed: what stands in it.
    """

    field: Field
    name: str
    typed: str
    errors: list[str] = dataclasses.field(default_factory=list)


class SubmissionForm:
    """A form for jobs of one task.

    Attributes:
        inputs: its arguments.
        errors: what is wrong with everything else, by the field's name; under `""` with the whole.
        calls: the arguments of each job, once it is valid.
        once: names this form: sent twice, it is still one.
    """

    def __init__(self, task: JobTask, given: QueryDict | None) -> None:
        """Make it empty, with the task's defaults, or of what somebody has sent."""
        self._task = task
        self.typed: Mapping[str, str] = (
            {} if given is None else {name: _line_ends(str(text)) for name, text in given.items()}
        )
        self.inputs = [self._input(one, fresh=given is None) for one in fields_of(task)]
        self.once = self.typed.get("once") or uuid.uuid4().hex
        self.errors: dict[str, list[str]] = {}
        self.calls: list[dict[str, Any]] = []
        self._run_at: datetime | None = None

    @property
    def has_errors(self) -> bool:
        """Whether something in it is wrong."""
        return bool(self.errors) or any(one.errors for one in self.inputs)

    def refuse(self, why: str) -> None:
        """Say what is wrong with the whole."""
        self.errors.setdefault("", []).append(why)

    def choice(self, correlation_id: str) -> Choice:
        """Return what is said besides the arguments."""
        priority = self.typed.get("priority", "")
        return Choice(
            run_at=self._run_at,
            queue=self.typed.get("queue") or None,
            priority=int(priority) if priority else None,
            correlation_id=correlation_id or None,
        )

    def is_valid(self) -> bool:
        """Read and check everything. Returns whether the jobs can be enqueued, as far as one can tell."""
        common = self._read_inputs()
        lines = self._read_lines()
        self._check_options()
        self.calls = [{**common, **line} for line in lines.values()]
        self._check_calls(lines)
        return not self.has_errors

    def _input(self, one: Field, *, fresh: bool) -> Input:
        name = f"argument-{one.name}"
        return Input(one, name, one.default if fresh else self.typed.get(name, ""))

    def _read_inputs(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for one in self.inputs:
            typed = one.typed
            if one.field.hidden:
                # It is not sent back: nobody is shown it.
                one.typed = ""
            try:
                value = one.field.read(typed)
            except ValueError as exc:
                one.errors.append(f"It {exc}.")
                continue
            if one.field.rest and value is not NOTHING and not isinstance(value, dict):
                one.errors.append("It must be a JSON object: names and values in braces.")
            elif one.field.rest and value is not NOTHING:
                found |= value
            elif value is not NOTHING:
                found[one.field.name] = value
        return found

    def _read_lines(self) -> dict[int, dict[str, Any]]:
        """Return what the jobs differ in by the line's number; where there are no lines, one that says nothing."""
        lines = [line for line in self.typed.get("many", "").split("\n") if line.strip()]
        if len(lines) > MOST_JOBS:
            self._wrong("many", f"There are {len(lines):,} lines; one form enqueues {MOST_JOBS:,} jobs at most.")
            return {}
        found = {}
        for number, line in enumerate(lines, 1):
            try:
                found[number] = self._read_line(line)
            except ValueError as exc:
                self._wrong("many", f"Line {number}: {exc}.")
        return found if lines else {1: {}}

    def _read_line(self, line: str) -> dict[str, Any]:
        hidden = {one.field.name for one in self.inputs if one.field.hidden}
        try:
            value = read_json(line)
        except OddValue as exc:
            raise ValueError(f"it {exc.rule}") from None
        except ValueError:
            raise ValueError("it is not JSON") from None
        if not isinstance(value, dict):
            raise ValueError("it must be a JSON object, such as {}")  # noqa: TRY004  (what is wrong is the text)
        if told := sorted(hidden & value.keys()):
            raise ValueError(f"{told[0]} is hidden, so it is given in its own field, for all of them")
        return value

    def _check_options(self) -> None:
        for error in errors_in_queue(self.typed.get("queue") or None):
            self._wrong("queue", f"It {error.rule}.")
        priority = self.typed.get("priority", "")
        if priority and not (priority.isascii() and priority.isdigit() and int(priority) in PRIORITIES):
            self._wrong("priority", "It must be a whole number from 0 to 9.")
        run_at = self.typed.get("run_at", "")
        try:
            self._run_at = _moment(run_at) if run_at else None
        except (ValueError, OverflowError):
            self._wrong("run_at", "It must be a date and time, such as 2026-01-31T08:30.")

    def _check_calls(self, lines: Mapping[int, Mapping[str, Any]]) -> None:
        """Check the arguments of each job; what a line of its own says wrongly is told beside the lines."""
        unread = {one.field.name for one in self.inputs if one.errors}
        for kwargs, (number, line) in zip(self.calls, lines.items(), strict=True):
            for name, rule in self._errors_of(kwargs):
                if name in line:
                    self._wrong("many", f"Line {number}: {name}: {rule}.")
                elif name not in unread:
                    self._wrong_argument(name, rule)

    def _wrong_argument(self, name: str, rule: str) -> None:
        rest = next((one for one in self.inputs if one.field.rest), None)
        own = next((one for one in self.inputs if one.field.name == name), rest)
        if own is None:
            self.refuse(f"{name}: {rule}.")
            return
        said = _sentence(rule) if own.field.name == name else f"{name}: {rule}."
        if said not in own.errors and len(own.errors) < _MOST_TOLD:
            own.errors.append(said)

    def _errors_of(self, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for error in errors_in(self._task, kwargs, at=""):
            name, _, place = error.field.removeprefix(".").partition(".")
            yield name, f"{place}: {error.rule}" if place else error.rule

    def _wrong(self, name: str, what: str) -> None:
        told = self.errors.setdefault(name, [])
        if len(told) < _MOST_TOLD:
            told.append(what)


def _sentence(rule: str) -> str:
    """Return a rule as it stands beside its field: `is required` becomes one with a subject and an end."""
    return f"{rule}." if rule[:1].isupper() else f"It {rule}."


def _line_ends(text: str) -> str:
    """Return what was typed: browsers send the end of a line as two signs."""
    return text.replace("\r\n", "\n")


def _moment(text: str) -> datetime:
    parsed = parse_datetime(text)
    if parsed is None:
        raise ValueError(text)
    return parsed if timezone.is_aware(parsed) else timezone.make_aware(parsed)
