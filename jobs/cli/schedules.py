"""`schedules list`, `schedules run`."""

from argparse import ArgumentParser

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, actor, nothing
from jobs.errors import EnqueueError
from jobs.models import ScheduleRun
from jobs.reports.report_json import schedule_json
from jobs.schedules import Entry, coming_runs, entries, find, latest_runs, named, run_now


def _list(given: Given, out: Output) -> Exit:
    found, runs = entries(), latest_runs()
    out.json({"schedules": [schedule_json(entry, runs.get(entry.row.pk)) for entry in found]})
    out.table(
        ["id>", "schedule", "task", "when", "enabled", "last run", "its job", "next run"],
        [_row(entry, runs.get(entry.row.pk)) for entry in found],
        empty="There are no schedules. Make one in the admin.",
    )
    return Exit.DONE


def _row(entry: Entry, last: ScheduleRun | None) -> list[object]:
    job = None if last is None else last.job
    following = [f"cannot run: {entry.fault}"] if entry.fault else coming_runs(entry.row, 1)
    return [
        str(entry.row.pk),
        # No longer than their columns, whatever SQLite keeps in these.
        entry.row.name[:200],
        entry.row.task[:200],
        entry.timing_text,
        entry.row.enabled,
        entry.row.last_run_at,
        None if job is None else job.state,
        following[0] if following else None,
    ]


def _run_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("schedule", help="its name or number")


def _run(given: Given, out: Output) -> Exit:
    wanted = given["schedule"]
    entry = named(wanted) or (find(int(wanted)) if wanted.isdecimal() else None)
    if entry is None:
        raise Failed(f"There is no schedule {wanted!r}. `manage.py jobs schedules list` shows them.")
    try:
        job_id = run_now(entry.runnable(), actor=actor())
    except EnqueueError as exc:
        raise Failed(f"{entry.row.name} was not run. {exc}") from exc
    out.json({"schedule": entry.row.name, "job_id": str(job_id)})
    out.line(f"{entry.row.name} runs now, as job {job_id}.")
    return Exit.DONE


VERBS = [
    Verb(("schedules", "list"), "list the schedules", _list, nothing),
    Verb(("schedules", "run"), "run a schedule's job now, beside its regular runs", _run, _run_arguments),
]
