"""The picture of what is going on that `top` shows: states, queues, workers, the latest changes."""

import io
import time
from datetime import timedelta
from typing import IO, cast

from django.conf import settings
from django.core.management.base import OutputWrapper
from django.db import Error as DatabaseError, connection
from django.utils import timezone
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jobs.cli.output import one_line, shown
from jobs.core.states import State
from jobs.models import Job
from jobs.operations.wording import duration, tries
from jobs.reports import counts, workers
from jobs.reports.queues import QueueReport, queues

#: Each state's sign and hue; the words and shapes are those of the pages.
LOOK = {
    State.SCHEDULED: ("◷", "bright_black"),
    State.QUEUED: ("≡", "blue"),
    State.RUNNING: ("●", "yellow"),
    State.RETRYING: ("↻", "dark_orange"),
    State.SUCCEEDED: ("✓", "green"),
    State.DEAD: ("✗", "red"),
    State.CANCELLED: ("-", "bright_black"),
}

LATEST = 12

#: More columns than a picture has that goes to a program or a file, where nothing is cut.
UNCUT = 1_000_000

#: Columns of a terminal that a row's name and its figures keep however narrow it is.
NAME_WIDTH = 12
FIGURE_WIDTH = 7


def show(stream: OutputWrapper) -> None:
    """Print one picture."""
    if stream.isatty():
        _console(stream).print(picture(fills=True))
    else:
        stream.write(_plain(picture(fills=False)))


def watch(stream: OutputWrapper, *, every: float) -> None:
    """Show what is going on every so many seconds, until interrupted: to a program one picture after another."""
    try:
        if stream.isatty():
            _watch_in_place(stream, every)
        while True:
            stream.write(_plain(_safe_picture(fills=False)))
            stream.flush()
            time.sleep(every)
    except KeyboardInterrupt:
        return


def _watch_in_place(stream: OutputWrapper, every: float) -> None:
    with Live(_safe_picture(fills=True), console=_console(stream), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            live.update(_safe_picture(fills=True), refresh=True)


def _console(stream: OutputWrapper) -> Console:
    return Console(file=cast("IO[str]", stream))


def _plain(picture: RenderableType) -> str:
    """Return a picture as a program or a file gets it: whole, without colours, no line with blanks at its end."""
    out = io.StringIO()
    Console(file=out, width=UNCUT, color_system=None, force_terminal=False).print(picture)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _safe_picture(*, fills: bool) -> RenderableType:
    """Return the picture, or what is wrong: whoever watches wants to see the database come back."""
    try:
        return picture(fills=fills)
    except DatabaseError as exc:
        connection.close()
        return Text(f"The database does not answer: {exc}", style="red")


def picture(*, fills: bool) -> Group:
    """Return one look at states, queues, workers and the latest changes; `fills`: over the terminal's whole width."""
    now = timezone.localtime()
    head = Text(f"{settings.PROJECT_NAME}  {now:%Y-%m-%d %H:%M:%S %Z}   Ctrl-C ends", style="bold")
    tables = [_queues(), _workers(), _latest()]
    for table in tables:
        table.expand = fills
    return Group(head, _states(), *(part for table in tables for part in ("", table)))


def _states() -> Text:
    line = Text()
    for state, number in counts.by_state().items():
        sign, hue = LOOK[state]
        line.append(f"{sign} {state} ", style=hue)
        line.append(f"{'' if number.exact else '~'}{number.value:,}   ", style="bold")
    return line


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        right = column.endswith(">")
        # The name of the row and its figures are worth more than the ends of long words.
        least = NAME_WIDTH if index == 0 else FIGURE_WIDTH if right else None
        name = column.removesuffix(">")
        table.add_column(name, justify="right" if right else "left", no_wrap=True, min_width=least)
    return table


def _queues() -> Table:
    table = _table("Queues", "queue", "queued>", "running>", "later>", "oldest>", "in/min>", "out/min>", "workers>", "")
    for queue in queues():
        table.add_row(
            queue.name,
            f"{queue.depth[State.QUEUED]:,}",
            f"{queue.depth[State.RUNNING]:,}",
            f"{queue.depth[State.SCHEDULED] + queue.depth[State.RETRYING]:,}",
            duration(queue.waiting_seconds),
            f"{queue.rate_in:,.1f}",
            f"{queue.rate_out:,.1f}",
            str(queue.workers),
            _alarm(queue),
        )
    return table


def _alarm(queue: QueueReport) -> Text:
    if queue.paused_at is not None:
        return Text("paused", style="yellow")
    if not queue.workers and any(queue.depth.values()):
        return Text("no worker", style="red")
    return Text("")


def _workers() -> Table:
    table = _table("Workers", "worker", "is", "busy>", "memory>", "up>", "queues")
    now = timezone.now()
    for worker in workers.recent():
        presence = workers.presence(worker)
        table.add_row(
            worker.name,
            Text(presence.value, style="" if presence is workers.Presence.ALIVE else "red"),
            f"{worker.running}/{worker.concurrency}",
            f"{worker.memory_bytes / 1024**2:,.0f} MB",
            duration(now - worker.started_at),
            ", ".join(worker.queues),
        )
    return table


def _latest() -> Table:
    table = _table("Latest changes", "state", "task", "queue", "attempt>", "changed", "took>", "latest error")
    for job in Job.objects.order_by("-changed_at", "-id")[:LATEST]:
        sign, hue = LOOK[State(job.state)]
        table.add_row(
            Text(f"{sign} {job.state}", style=hue),
            job.task,
            job.queue,
            tries(job),
            shown(job.changed_at),
            duration(_took(job)),
            Text(one_line(job.last_error)),
        )
    return table


def _took(job: Job) -> timedelta | None:
    return job.finished_at - job.started_at if job.finished_at and job.started_at else None
