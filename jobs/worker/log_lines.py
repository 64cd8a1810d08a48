"""Lines about jobs in Celery's own loggers."""

import logging
from typing import Any


def say(logger: logging.Logger, level: int, text: str, *args: Any, **more: Any) -> None:
    """Write a line as Celery does; whether its level is enabled the caller has asked.

    `logging` itself would look for whoever calls, which costs a third of such a line and finds the engine.

    Args:
        logger: Celery's.
        level: as `logging` has it.
        text: the message.
        *args: what is put into it.
        **more: what else the record carries, by the names of its attributes.
    """
    record = logger.makeRecord(logger.name, level, "(celery)", 0, text, args, None)
    vars(record).update(more)
    logger.handle(record)
