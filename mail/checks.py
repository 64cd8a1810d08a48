"""Finds settings that cannot work at start, before a mail does."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage

from mail.conf import ses_problem


@checks.register
def executor_can_work(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What Amazon SES needs is there and usable, where it is what sends."""
    if settings.MAIL_EXECUTOR != "ses" or not (problem := ses_problem()):
        return []
    return [checks.Error(problem, hint="MAIL_EXECUTOR=smtp sends through a mail server instead.", id="mail.E001")]
