"""`list`, `show`, `retry`, `cancel`."""

import uuid
from argparse import ArgumentParser
from datetime import datetime
from functools import partial
from typing import Any

from jobs.cli import filters
from jobs.cli.changes import add_change_arguments, change
from jobs.cli.output import Output, printable
from jobs.cli.pages import add_page_arguments, asked_page, tell_of_more
from jobs.cli.verb import Exit, Failed, Given, Verb, actor
from jobs.models import Attempt, Job, Step
from jobs.operations import actions
from jobs.operations.actions import CANCELLABLE, RETRYABLE
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import attempt_json, job_json, shown_result, steps_json
from jobs.operations.wording import tries
from jobs.reports.webhooks import deliveries_json

#: The largest number that a step can have.
MOST_STEPS = 2**31 - 1


def _list_arguments(parser: ArgumentParser) -> None:
    filters.add_job_filter(parser)
    add_page_arguments(parser)


def _list(given: Given, out: Output) -> Exit:
    found = asked_page(filters.job_filter(given).jobs(), "created_at", given)
    out.json({"jobs": [job_json(job) for job in found.rows], "next_cursor": found.next_cursor})
    out.table(
        ["id", "state", "task", "queue", "attempt>", "enqueued", "arguments", "latest error"],
        [_row(job) for job in found.rows],
        empty="No job matches.",
    )
    tell_of_more(found.next_cursor, out)
    return Exit.DONE


def _row(job: Job) -> list[Any]:
    shown = job_json(job)
    return [job.pk, job.state, job.task, job.queue, tries(job), job.created_at, shown["kwargs"], job.last_error]


def _show_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", type=filters.key, help="the job's id")


def _show(given: Given, out: Output) -> Exit:
    job = Job.objects.filter(pk=given["id"]).first()
    if job is None:
        raise Failed(f"There is no job {given['id']}. It may have been pruned, or its transaction rolled back.")
    attempts = list(job.attempts.all())
    steps, deliveries = steps_json(job), deliveries_json(job)
    out.json(
        {
            **job_json(job),
            "result": shown_result(job),
            "calls": job.calls,
            "steps": steps,
            "attempts": [attempt_json(attempt) for attempt in attempts],
            "deliveries": deliveries,
        }
    )
    out.pairs(_facts(job))
    if steps:
        out.line()
        out.table(
            ["step>", "name", "attempt>", "rows>", "began", "until"], [_step_row(step) for step in steps], empty=""
        )
    if deliveries:
        out.line()
        out.table(
            ["told webhook", "event", "state", "answer>", "job"], [_delivery_row(one) for one in deliveries], empty=""
        )
    for attempt in attempts:
        _print_attempt(attempt, out)
    return Exit.DONE


def _facts(job: Job) -> list[tuple[str, Any]]:
    shown: dict[str, Any] = {**job_json(job)}
    exact = {name: _exact(getattr(job, name)) for name in ("created_at", "run_at", "started_at", "finished_at")}
    return [*{**shown, **exact, "attempt": tries(job), "calls": job.calls}.items()]


def _step_row(step: dict[str, Any]) -> list[Any]:
    rows = "" if step["rows_done"] is None else f"{step['rows_done']:,}{'' if step['is_complete'] else ' so far'}"
    return [step["number"], step["name"], step["attempt"], rows, step["started_at"], step["finished_at"]]


def _delivery_row(delivery: dict[str, Any]) -> list[Any]:
    return [delivery[name] for name in ("webhook", "event", "state", "status", "id")]


def _exact(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S.%f %Z}"


def _print_attempt(attempt: Attempt, out: Output) -> None:
    out.line()
    out.line(f"Attempt {attempt.number}: {attempt.outcome}, at {_exact(attempt.finished_at)}, on {attempt.worker}")
    out.line(printable(attempt.traceback or f"{attempt.error_type}: {attempt.error}"))


def _change_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", type=filters.key, metavar="id", help="these jobs")
    filters.add_job_filter(parser)
    add_change_arguments(parser)


def _retry_arguments(parser: ArgumentParser) -> None:
    _change_arguments(parser)
    parser.add_argument(
        "--from-step",
        type=filters.number(1, MOST_STEPS),
        metavar="N",
        help="have the work done again from this step on; jobs without it are left alone",
    )


def _retry(given: Given, out: Output) -> Exit:
    selection = _chosen(given, RETRYABLE, "retried")
    from_step = given["from_step"]
    if from_step is not None and len(selection.ids) == 1:
        _refuse_unknown_step(selection.ids[0], from_step)
    act = partial(actions.retry_jobs, selection, actor=actor(), from_step=from_step)
    return change(given, out, "Retry {} jobs", act)


def _refuse_unknown_step(job_id: uuid.UUID, number: int) -> None:
    there = list(Step.objects.filter(job_id=job_id).values_list("number", flat=True))
    if number not in there:
        steps = f"its steps are {', '.join(map(str, there))}" if there else "it has none"
        raise Failed(f"Job {job_id} has no step {number}: {steps}.")


def _cancel(given: Given, out: Output) -> Exit:
    selection = _chosen(given, CANCELLABLE, "cancelled")
    return change(given, out, "Cancel {} jobs", partial(actions.cancel_jobs, selection, actor=actor()))


def _chosen(given: Given, states: tuple[str, ...], what: str) -> JobFilter:
    """Return the filter given. Raises Failed where it is none, or names one job that is not in such a state."""
    selection = filters.job_filter(given)
    filters.refuse_everything(selection, given, what="jobs")
    missing = set(selection.ids) - set(Job.objects.filter(pk__in=selection.ids).values_list("pk", flat=True))
    if missing:
        raise Failed(f"There is no job {', '.join(sorted(map(str, missing)))}.")
    if len(selection.ids) == 1:
        state = Job.objects.values_list("state", flat=True).get(pk=selection.ids[0])
        if state not in states:
            raise Failed(f"Job {selection.ids[0]} is {state}: only {', '.join(states)} jobs can be {what}.")
    return selection


_CHOOSING = """\
What cannot be retried, or cancelled, in its state is left alone. A job that is retried goes on after the last step
that its task has kept (`step()`), unless it had succeeded. A change of more than one job named by its id is
confirmed first; --yes says so beforehand, --dry-run only counts.
"""

VERBS = [
    Verb(("list",), "list jobs, the newest first", _list, _list_arguments),
    Verb(
        ("show",),
        "show one job, its steps, its failed attempts and what webhooks are told of it",
        _show,
        _show_arguments,
    ),
    Verb(
        ("retry",),
        "put jobs that ended, or wait for later, into their queues now",
        _retry,
        _retry_arguments,
        _CHOOSING,
    ),
    Verb(("cancel",), "cancel jobs that have not ended, running ones too", _cancel, _change_arguments, _CHOOSING),
]
