"""`schedules list`, `schedules run`."""

from argparse import ArgumentParser

from django.db.models import Q
from django_celery_beat.models import PeriodicTask

from jobs.commandline.output import Output
from jobs.commandline.verb import Exit, Failed, Given, Verb, actor, nothing
from jobs.errors import EnqueueError
from jobs.schedules import latest_run, next_runs, readable, run_now
from jobs.web.report_json import schedule_json


def _list(given: Given, out: Output) -> Exit:
    found = list(readable().order_by("name"))
    out.json({"schedules": [schedule_json(schedule) for schedule in found]})
    out.table(
        ["id>", "schedule", "task", "when", "enabled", "last run", "its job", "next run"],
        [_row(schedule) for schedule in found],
        empty="There are no schedules. Make one in the admin.",
    )
    return Exit.DONE


def _row(schedule: PeriodicTask) -> list[object]:
    last = latest_run(schedule)
    job = None if last is None else last.job
    following = next_runs(schedule, 1) if schedule.enabled else []
    return [
        str(schedule.pk),
        schedule.name,
        schedule.task,
        str(schedule.scheduler),
        schedule.enabled,
        schedule.last_run_at,
        None if job is None else job.state,
        following[0] if following else None,
    ]


def _run_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("schedule", help="its name or number")


def _run(given: Given, out: Output) -> Exit:
    wanted = given["schedule"]
    by_number = Q(pk=int(wanted)) if wanted.isdecimal() else Q()
    schedule = PeriodicTask.objects.filter(Q(name=wanted) | by_number if by_number else Q(name=wanted)).first()
    if schedule is None:
        raise Failed(f"There is no schedule {wanted!r}. `manage.py jobs schedules list` shows them.")
    try:
        job_id = run_now(schedule, actor=actor())
    except EnqueueError as exc:
        raise Failed(str(exc)) from exc
    out.json({"schedule": schedule.name, "job_id": str(job_id)})
    out.line(f"{schedule.name} runs now, as job {job_id}.")
    return Exit.DONE


VERBS = [
    Verb(("schedules", "list"), "list the schedules", _list, nothing),
    Verb(("schedules", "run"), "run a schedule's job now, beside its regular runs", _run, _run_arguments),
]
