"""Finds settings that cannot work at start, before a job does."""

from collections.abc import Sequence
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage

from notify.conf import telegram_problem


@checks.register
def telegram_can_work(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """The bot's token is usable, where it is set."""
    problem = telegram_problem()
    return [checks.Error(problem, id="notify.E001")] if problem else []
