"""Schedules, the rows of django-celery-beat: read, timed, shown, run now. Beat itself is `jobs.schedules.beat`.

`times` is when, `plan` what a row asks for, `rows` what the table holds, `runs` what is due, comes and came, `actions`
what people do.
"""

from jobs.schedules.actions import run_now, switch
from jobs.schedules.plan import CannotRun, Plan, plan_of, timing_of
from jobs.schedules.rows import Entry, entries, entry_of, find, named, unloadable
from jobs.schedules.runs import coming_runs, due_at, latest_run, latest_runs, next_runs

__all__ = [
    "CannotRun",
    "Entry",
    "Plan",
    "coming_runs",
    "due_at",
    "entries",
    "entry_of",
    "find",
    "latest_run",
    "latest_runs",
    "named",
    "next_runs",
    "plan_of",
    "run_now",
    "switch",
    "timing_of",
    "unloadable",
]
