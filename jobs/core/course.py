"""How far an attempt has come, for whoever stands around it: Celery calls much beside the engine."""

from dataclasses import dataclass
from typing import Any

from jobs.core.delivery import OWN

#: In a request: the `Course` of its attempt.
COURSE = OWN + "course"


@dataclass(slots=True)
class Course:
    """How far an attempt has come.

    Attributes:
        has_begun: whether the engine was called; then it records what becomes of the attempt.
        has_returned: whether it recorded a success, or left it to the parent process.
        error: what was raised before the engine was called; it is the attempt's error.
    """

    has_begun: bool = False
    has_returned: bool = False
    error: Exception | None = None

    def of(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the request as Celery's tracer should have it."""
        return {**request, COURSE: self}


def course_of(request: Any) -> Course:
    """Return the course of the attempt whose request, Celery's context, this is."""
    course: Course | None = request.get(COURSE)
    return course or Course()
