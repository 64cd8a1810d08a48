"""Time passes for the ledger: its clock is the database's, which nobody can put forward, so its rows become older."""

from datetime import timedelta

from django.apps import apps
from django.db import transaction
from django.db.models import DateTimeField, F

from jobs.models import FlowRule


def travel(seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> timedelta:
    """Let so much time pass for everything the engine keeps: what was due in an hour is due now, leases run out.

    Python's own clock stays as it is: for what a task reads from there take `time-machine` or the like besides. It has
    nothing to do with transactions: within one it ends with it.

    Returns:
        How much passed.

    Raises:
        ValueError: it is not more than nothing. Nobody travels back.
    """
    passed = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
    if passed <= timedelta():
        raise ValueError(f"travel(): {passed} is not valid: it must be more than nothing.")
    with transaction.atomic():
        for model in apps.get_app_config("jobs").get_models():
            times = [field.attname for field in model._meta.concrete_fields if isinstance(field, DateTimeField)]  # noqa: SLF001
            if times:
                model._default_manager.update(**{name: F(name) - passed for name in times})  # noqa: SLF001
        FlowRule.objects.update(tat=F("tat") - passed.total_seconds())
    return passed
