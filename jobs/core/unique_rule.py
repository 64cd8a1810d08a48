"""What makes the jobs of a task unique: by what, for how long, and what a further call changes. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from jobs.core.retry import TOO_LONG


class Until(StrEnum):
    """Up to when a job keeps its unique key."""

    #: It begins: what it has read by then may be old news to the next caller.
    BEGUN = "begun"
    #: It has succeeded, or has given up.
    DONE = "done"


#: What a further call can change of the job that waits: its arguments, positional ones too; the time when it is due.
REPLACEABLE = ("kwargs", "run_at")


@dataclass(frozen=True, slots=True)
class UniqueRule:
    """Which calls of a task are one job.

    Attributes:
        by: a template of argument names, the names of some arguments, or true for task and arguments; false for none.
        until: up to when the job keeps its key.
        within: seconds after the call for which it keeps the key at least, also where it has succeeded by then.
        replace: what a further call changes of the job that waits, from `REPLACEABLE`.
        max_delay: how long after the first call, in seconds, further calls can put the job off at most.
    """

    by: str | bool | tuple[str, ...] = False
    until: str = Until.BEGUN
    within: float | None = None
    replace: tuple[str, ...] = ()
    max_delay: float | None = None

    def problem(self) -> str | None:
        """Return which rule is broken, beginning with the name and the value of the option; None where none is."""
        return self._bad_value() or self._bad_combination()

    def _bad_value(self) -> str | None:
        if not _is_rule(self.by):
            return f"unique={self.by!r} is not valid: it must be true, false, a template or a tuple of argument names"
        if self.until not in list(Until):
            return f"until={self.until!r} is not valid: it must be {' or '.join(map(repr, map(str, Until)))}"
        for name, value in (("within", self.within), ("max_delay", self.max_delay)):
            if value is not None and not (type(value) in {int, float} and 0 < value < TOO_LONG):
                return f"{name}={value!r} is not valid: it must be seconds above zero, or None"
        return None if _are_names(self.replace, REPLACEABLE) else f"replace={self.replace!r} is not valid: {_RULE}"

    def _bad_combination(self) -> str | None:
        said = {
            "until": self.until != Until.BEGUN,
            "within": self.within is not None,
            "replace": bool(self.replace),
            "max_delay": self.max_delay is not None,
        }
        if not self.by and any(said.values()):
            name = next(name for name, is_said in said.items() if is_said)
            return f"{name}={getattr(self, name)!r} says nothing without unique=: give what the jobs are unique by"
        for name in ("until", "within"):
            if self.replace and said[name]:
                return (
                    f"replace={self.replace!r} and {name}={getattr(self, name)!r} exclude each other: of a job that has"
                    " begun nothing can be replaced, and what the call says would be lost"
                )
        if said["max_delay"] and "run_at" not in self.replace:
            return f"max_delay={self.max_delay!r} needs replace=('run_at',): nothing else puts a job off"
        return None


_RULE = f"it must be a tuple of {' and '.join(map(repr, REPLACEABLE))}"


def _are_names(given: object, known: tuple[str, ...]) -> bool:
    return isinstance(given, (tuple, list)) and all(name in known for name in given)


def _is_rule(by: object) -> bool:
    if isinstance(by, (tuple, list)):
        return bool(by) and all(isinstance(name, str) for name in by)
    return isinstance(by, (bool, str))
