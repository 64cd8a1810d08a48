"""`submit`."""

from argparse import ArgumentParser

from celery import current_app

from jobs.cli import filters
from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, actor
from jobs.errors import EnqueueError
from jobs.models import Job
from jobs.operations.arguments import errors_in
from jobs.operations.job_json import job_json
from jobs.operations.submissions import Choice, offered, submit
from jobs.tasks.registry import registered
from jobs.tasks.task import JobTask


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("task", help="its name")
    parser.add_argument(
        "--arg",
        action="append",
        default=[],
        type=filters.argument,
        metavar="NAME=VALUE",
        help="an argument, JSON where it reads as such; may be repeated",
    )
    parser.add_argument(
        "--run-at", type=filters.due, metavar="WHEN", help="not before: 90m, 2d from now, 08:30, or 2026-01-31T08:30"
    )
    parser.add_argument("--priority", type=filters.number(0, 9), help="0 to 9, higher first")
    parser.add_argument("--queue", choices=sorted(current_app.amqp.queues), metavar="NAME")
    parser.add_argument("--unique", metavar="KEY", help="while a job with this key waits to begin, that one is kept")
    parser.add_argument("--correlation-id", type=filters.correlation, metavar="ID")


def _submit(given: Given, out: Output) -> Exit:
    task = registered().get(given["task"])
    if not isinstance(task, JobTask):
        known = ", ".join(one.name for one in offered())
        raise Failed(f"There is no task {given['task']!r}. There are: {known}.")
    kwargs = dict(given["arg"])
    errors = errors_in(task, kwargs, at="--arg")
    if errors:
        raise Failed("\n".join(f"{error.field}: {error.rule}." for error in errors), Exit.USAGE)
    choice = Choice(**{name: given[name] for name in _PASSED_ON})
    try:
        (job_id,) = submit(task, [kwargs], choice, actor=actor())
    except EnqueueError as exc:
        raise Failed(str(exc), Exit.USAGE) from exc
    job = Job.objects.get(pk=job_id)
    out.json(job_json(job))
    out.line(f"Job {job.pk} is {job.state} on {job.queue}.")
    return Exit.DONE


_PASSED_ON = ("run_at", "priority", "queue", "unique", "correlation_id")

VERBS = [Verb(("submit",), "enqueue a job", _submit, _arguments)]
