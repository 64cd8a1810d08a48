"""When a schedule runs, in words."""

from cron_descriptor import ExpressionDescriptor, Options
from django_celery_beat.models import CrontabSchedule

from jobs.schedules.rows import Entry


def timing(entry: Entry) -> str:
    """Return when a schedule runs, in words."""
    if not entry.is_loaded:
        return ""
    if entry.row.crontab:
        return in_words(expression(entry.row.crontab))
    return "Once" if entry.row.clocked else entry.timing_text.capitalize()


def expression(crontab: CrontabSchedule) -> str:
    """Return a crontab as its five fields."""
    return f"{crontab.minute} {crontab.hour} {crontab.day_of_month} {crontab.month_of_year} {crontab.day_of_week}"


def in_words(expression: str) -> str:
    """Return a cron expression in words; as it is where it has none."""
    options = Options()
    options.use_24hour_time_format = True
    options.verbose = False
    try:
        return str(ExpressionDescriptor(expression, options).get_description())
    except Exception:  # noqa: BLE001 (it parses with expressions and indexes of its own, and raises what they raise)
        return expression
