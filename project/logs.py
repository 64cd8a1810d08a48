"""How the project logs: lines for people in development, one JSON object a line in production."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from celery._state import get_current_task

from jobs.core import correlation
from jobs.observability.masking import masked

#: What every record has; whatever else it carries was given with `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


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
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["job"]}},
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
