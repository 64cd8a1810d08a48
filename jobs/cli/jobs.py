"""`list`, `show`, `retry`, `cancel`."""

from argparse import ArgumentParser
from datetime import datetime
from functools import partial
from typing import Any

from jobs.cli import filters
from jobs.cli.changes import add_change_arguments, change
from jobs.cli.output import Output, printable
from jobs.cli.verb import Exit, Failed, Given, Verb, actor
from jobs.models import Attempt, Job
from jobs.operations import actions
from jobs.operations.actions import CANCELLABLE, RETRYABLE
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import attempt_json, job_json, shown_result
from jobs.operations.paging import InvalidCursor, page
from jobs.operations.wording import tries


def _list_arguments(parser: ArgumentParser) -> None:
    filters.add_job_filter(parser)
    parser.add_argument("--limit", type=filters.number(1, 10_000), default=50, help="at most so many (50)")
    parser.add_argument("--cursor", default="", help="where the page before ended, as it said")


def _list(given: Given, out: Output) -> Exit:
    try:
        found = page(filters.job_filter(given).jobs(), "created_at", limit=given["limit"], cursor=given["cursor"])
    except InvalidCursor as exc:
        raise Failed(str(exc), Exit.USAGE) from exc
    out.json({"jobs": [job_json(job) for job in found.rows], "next_cursor": found.next_cursor})
    out.table(
        ["id", "state", "task", "queue", "attempt>", "enqueued", "arguments", "latest error"],
        [_row(job) for job in found.rows],
        empty="No job matches.",
    )
    if found.next_cursor:
        out.line(f"There are more: --cursor {found.next_cursor}")
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
    out.json(
        {
            **job_json(job),
            "result": shown_result(job),
            "calls": job.calls,
            "attempts": [attempt_json(attempt) for attempt in attempts],
        }
    )
    out.pairs(_facts(job))
    for attempt in attempts:
        _print_attempt(attempt, out)
    return Exit.DONE


def _facts(job: Job) -> list[tuple[str, Any]]:
    shown: dict[str, Any] = {**job_json(job)}
    exact = {name: _exact(getattr(job, name)) for name in ("created_at", "run_at", "started_at", "finished_at")}
    return [*{**shown, **exact, "attempt": tries(job), "calls": job.calls}.items()]


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


def _retry(given: Given, out: Output) -> Exit:
    selection = _chosen(given, RETRYABLE, "retried")
    return change(given, out, "Retry {} jobs", partial(actions.retry_jobs, selection, actor=actor()))


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
What cannot be retried, or cancelled, in its state is left alone. A change of more than one job named by its id is
confirmed first; --yes says so beforehand, --dry-run only counts.
"""

VERBS = [
    Verb(("list",), "list jobs, the newest first", _list, _list_arguments),
    Verb(("show",), "show one job and its failed attempts", _show, _show_arguments),
    Verb(
        ("retry",),
        "put jobs that ended, or wait for later, into their queues now",
        _retry,
        _change_arguments,
        _CHOOSING,
    ),
    Verb(("cancel",), "cancel jobs that have not ended, running ones too", _cancel, _change_arguments, _CHOOSING),
]
