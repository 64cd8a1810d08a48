"""How the project logs: lines for people in development, one JSON object a line in production."""

import json
import logging
import os
import select
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any, TextIO

from celery._state import get_current_task

from jobs.core import correlation
from jobs.observability.masking import masked

#: What every record has; whatever else it carries was given with `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


#: So many characters, of at most four bytes, a pipe takes in one piece, whatever other processes write to it meanwhile.
_IN_ONE_PIECE = select.PIPE_BUF // 4

_dumps = json.JSONEncoder(default=str, ensure_ascii=False).encode


class JobContext(logging.Filter):
    """Adds to every record which request is being answered, or which attempt of which job is running, if any."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Celery's `current_task` looks for it anew whenever it is asked for something.
        task = get_current_task()
        request = None if task is None else task.request
        if request is not None and request.id:
            vars(record).update(
                task=task.name,
                job=str(getattr(request, "job_id", None) or request.id),
                attempt=getattr(request, "job_attempt", None),
                correlation=getattr(request, "job_correlation_id", ""),
            )
        elif correlation.current():
            vars(record).update(correlation=correlation.current())
        return True


class WithoutArguments(logging.Filter):
    """Takes the arguments off what Celery says of a task: they may hold what nobody is to read.

    It stands at the loggers, so that whoever else listens there (Sentry) gets nothing more than the log.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        data = getattr(record, "data", None)
        if isinstance(data, dict):
            vars(record)["data"] = {name: value for name, value in data.items() if name not in {"args", "kwargs"}}
        return True


class TextFormatter(logging.Formatter):
    """A line for people; the job that was running stands at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  The base class's name for it.
        running = vars(record)
        job = f"  [{running['task']} {running['job'][-8:]}]" if "job" in running else ""
        return super().formatMessage(record) + job


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what `extra=` gave, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            # Whoever has put it into words already leaves them there, as `logging` itself does.
            entry["error"] = record.exc_text or self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = record.stack_info
        return masked(_dumps(entry))


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to stderr; a thread that logs while another one writes leaves its line to that one, and goes on.

    With the lock of `logging` every thread of a pool waits in turn for every line of all others, and each time for its
    turn to run Python: in a pool of eight threads that costs as much as the jobs themselves.
    """

    #: So many lines wait for whoever writes; then whoever logs waits, too, but not for longer than so many seconds: the
    #: one who writes may be the very thread that a signal has interrupted.
    MOST, LONGEST = 1_000, 1.0

    def __init__(self) -> None:
        super().__init__()
        self._begin_anew()
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        # What waited at a fork the parent process writes.
        self._lines: deque[str] = deque()
        self._writing = threading.Lock()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record that the filters let through. As the base class does, but for its lock."""
        # From Python 3.12 on a filter may put another in its place.
        passed: Any = self.filter(record)
        if passed:
            self.emit(record if passed is True else passed)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or leave it to whoever is writing."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            self._write(self.LONGEST if len(self._lines) > self.MOST else 0.0)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 (as the base class does)
            self.handleError(record)

    def flush(self) -> None:
        """Write what waits."""
        self._write(self.LONGEST)

    def _write(self, seconds: float) -> None:
        # Whoever comes too late for a look at what waits has written, or sees this here look once more.
        while self._lines and self._writing.acquire(timeout=seconds):
            try:
                while self._lines:
                    self.stream.write(self._next())
                    self.stream.flush()
            finally:
                self._writing.release()

    def _next(self) -> str:
        """Return the line that has waited longest, and as many more as a pipe takes in one piece."""
        text = self._lines.popleft()
        while self._lines and len(text) + len(self._lines[0]) <= _IN_ONE_PIECE:
            text += self._lines.popleft()
        return text


def configuration(*, level: str, style: str) -> dict[str, Any]:
    """Return the LOGGING setting: everything from `level` on goes to stderr in this style (`text` or `json`)."""
    formatter = TextFormatter if style == "text" else JsonFormatter
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": f"{__name__}.{formatter.__name__}"}},
        "filters": {
            "job": {"()": f"{__name__}.{JobContext.__name__}"},
            "arguments": {"()": f"{__name__}.{WithoutArguments.__name__}"},
        },
        "handlers": {
            "stderr": {"class": f"{__name__}.{StderrHandler.__name__}", "formatter": "line", "filters": ["job"]},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Both come with handlers of their own.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            **{name: {"handlers": [], "propagate": True} for name in ("uvicorn", "uvicorn.access", "uvicorn.error")},
            **{name: {"filters": ["arguments"]} for name in ("celery.app.trace", "celery.worker.strategy")},
            # It repeats whole messages, arguments and all.
            "celery.pool": {"level": "INFO"},
            # They tell of every request, or every line of a conversation, and of little else.
            **{name: {"level": "WARNING"} for name in ("httpx", "botocore", "mail.log")},
        },
    }
