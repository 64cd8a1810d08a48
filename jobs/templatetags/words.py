"""What the dashboard says in words: of workers, queues, attempts, steps of time. `{% load words %}`."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.core.states import State
from jobs.models import Attempt, Job, Worker
from jobs.operations.job_json import named_arguments
from jobs.operations.wording import NOTHING, duration
from jobs.reports import workers
from jobs.reports.queues import QueueReport
from jobs.reports.throughput import Span, Step
from jobs.reports.workers import Presence
from jobs.templatetags.look import state
from jobs.templatetags.shell import one_line

register = template.Library()


@register.simple_tag
def presence(worker: Worker) -> SafeString:
    """Return whether a worker is there, as shape and word."""
    words = {
        Presence.ALIVE: (State.SUCCEEDED, "there"),
        Presence.SILENT: (State.DEAD, "silent"),
        Presence.STOPPED: (State.CANCELLED, "stopped"),
    }
    shape, word = words[workers.presence(worker)]
    return state(shape, word)


@register.simple_tag
def drains(queue: QueueReport) -> str:
    """Return when a queue will be empty, in words where no number says it."""
    if not queue.depth[State.QUEUED]:
        return NOTHING
    if queue.paused_at is not None:
        return "paused"
    seconds = queue.drain_seconds
    if seconds is not None:
        return duration(seconds) if seconds < 7 * 86_400 else "weeks"
    if queue.depth[State.QUEUED] <= queue.rate_out:
        return "keeps up"
    return "growing" if queue.rate_in > queue.rate_out else "not moving"


@register.simple_tag
def step_words(span: Span) -> str:
    """Return how long a chart's step is."""
    return {60: "minute", 900: "15 min", 7200: "2 h"}[span.step_seconds]


@register.simple_tag
def tick(at: datetime, span: Span) -> str:
    """Return a time as a chart's axis says it."""
    local = timezone.localtime(at)
    return f"{local:%a %H:%M}" if span.name == "week" else f"{local:%H:%M}"


@register.simple_tag
def step_title(step: Step, span: Span, kind: str) -> str:
    """Return what a chart says of one step."""
    words = [tick(step.start, span)]
    if kind == "done":
        values = (("succeeded", step.succeeded), ("dead", step.dead), ("cancelled", step.cancelled))
        words += [f"{value:,} {name}" for name, value in values if value]
    else:
        words += [f"median {duration(step.wait_median)}", f"95 % within {duration(step.wait_p95)}"]
    return " · ".join(words)


@register.simple_tag
def arguments_line(job: Job) -> SafeString:
    """Return a job's arguments on one line, redacted."""
    line = one_line(named_arguments(job.task, job.args, job.kwargs))
    return format_html('<code class="args">{}</code>', line) if line else SafeString("")


@register.simple_tag
def progress_words(progress: dict[str, Any]) -> str:
    """Return how far a job is: `12,000 of 50,000 (24 %)`, and what it says it does."""
    done, total = progress.get("done") or 0, progress.get("total")
    words = f"{done:,} of {total:,} ({100 * done / total:.0f} %)" if total else f"{done:,} done"
    message = progress.get("message")
    return f"{words} · {message}" if message else words


@register.simple_tag
def attempt_state(attempt: Attempt) -> SafeString:
    """Return what became of a job after an attempt."""
    if attempt.outcome not in set(State):
        return state(State.CANCELLED, attempt.outcome)
    words = {State.RETRYING: "failed", State.DEAD: "failed, gave up", State.QUEUED: "put back"}
    outcome = State(attempt.outcome)
    return state(outcome, words.get(outcome, outcome.value))


@register.filter
def attempt_took(attempt: Attempt) -> str:
    """Return how long an attempt took."""
    if attempt.started_at is None:
        return NOTHING
    return duration(max(attempt.finished_at - attempt.started_at, timedelta()))


@register.simple_tag
def after(at: datetime, job: Job) -> str:
    """Return how long after its enqueueing something in a job's life was."""
    return f"+{duration(max(at - job.created_at, timedelta()))}"


@register.filter
def zoned(at: datetime) -> str:
    """Return a time in its own zone, as one plans by it: `Sun 30 Nov 03:00 UTC`."""
    return f"{at:%a %-d %b %H:%M} {at.tzname()}"


@register.filter
def lines_of(text: str) -> int:
    """Return how many lines a field for this text needs."""
    return min(max(text.count("\n") + 2, 4), 24)
