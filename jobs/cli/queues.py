"""`stats`, `queues`, `pause`, `resume`."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.cli import filters
from jobs.cli.limits import add_pause_arguments
from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, actor, nothing
from jobs.conf import brokers
from jobs.core.states import State
from jobs.errors import InvalidRule
from jobs.operations import actions
from jobs.operations.job_json import time_json
from jobs.reports import counts
from jobs.reports.failures import failures
from jobs.reports.queues import QueueReport, exists, known, queues
from jobs.reports.report_json import queue_json, shares_json
from jobs.reports.shares import Share, shares_of

_COLUMNS = [
    *("queue", "queued>", "running>", "later>", "oldest waits>", "in/min>", "out/min>", "drained in>"),
    *("workers>", "dead letters>", "paused"),
]


def _queues(given: Given, out: Output) -> Exit:
    found = queues()
    out.json({"queues": [queue_json(queue) for queue in found]})
    _print(found, out)
    return Exit.DONE


def _print(found: list[QueueReport], out: Output) -> None:
    columns = [*_COLUMNS, "broker"] if brokers() else _COLUMNS
    out.table(
        columns, [[*_row(queue), queue.broker][: len(columns)] for queue in found], empty="No task names a queue."
    )


def _row(queue: QueueReport) -> list[Any]:
    return [
        queue.name,
        queue.depth[State.QUEUED],
        queue.depth[State.RUNNING],
        queue.depth[State.SCHEDULED] + queue.depth[State.RETRYING],
        _duration(queue.waiting_seconds),
        f"{queue.rate_in:,.1f}",
        f"{queue.rate_out:,.1f}",
        _duration(queue.drain_seconds) if queue.depth[State.QUEUED] else None,
        queue.workers,
        queue.dead_letters,
        f"by {queue.paused_by}" if queue.paused_at else None,
    ]


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _stats_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=filters.moment, metavar="WHEN", help="failures since: 90m, 2d (the last 24 hours)"
    )


def _stats(given: Given, out: Output) -> Exit:
    states, found = counts.by_state(), queues()
    failed = failures(given["since"] or timezone.now() - timedelta(days=1))
    out.json(
        {
            "states": {state.value: number.value for state, number in states.items()},
            "estimated": [state.value for state, number in states.items() if not number.exact],
            "queues": [queue_json(queue) for queue in found],
            "failures": [
                {"task": one.task, "reason": one.reason, "count": one.count, "latest_at": time_json(one.latest_at)}
                for one in failed
            ],
        }
    )
    out.pairs((state.value, f"{number.value:>12,}{'' if number.exact else ' ~'}") for state, number in states.items())
    out.line()
    _print(found, out)
    out.line()
    out.table(
        ["gave up", "why", "how many>", "latest"],
        [[one.task or "(unreadable)", one.reason, one.count, one.latest_at] for one in failed],
        empty="No job gave up.",
    )
    return Exit.DONE


def _queue_argument(parser: ArgumentParser) -> None:
    parser.add_argument("queue")


def _pause_arguments(parser: ArgumentParser) -> None:
    _queue_argument(parser)
    add_pause_arguments(parser)


def _pause(given: Given, out: Output) -> Exit:
    name = _known(given["queue"])
    try:
        actions.pause_queue(name, actor=actor(), reason=given["reason"], until=given["until"])
    except InvalidRule as exc:
        raise Failed(str(exc)) from exc
    out.json({"queue": name, "paused": True})
    out.line(f"Queue {name} is paused: what runs goes on, and nothing begins until it is resumed.")
    return Exit.DONE


def _resume(given: Given, out: Output) -> Exit:
    name = _known(given["queue"])
    actions.resume_queue(name, actor=actor())
    out.json({"queue": name, "paused": False})
    out.line(f"Queue {name} goes on.")
    return Exit.DONE


def _known(name: str) -> str:
    """Return the queue's name. Raises Failed where it is a slip of the keyboard."""
    if exists(name):
        return name
    raise Failed(f"There is no queue {name!r}. There are: {', '.join(sorted(known()))}.")


def _shares(given: Given, out: Output) -> Exit:
    if not exists(given["queue"]):
        raise Failed(f"There is no queue {given['queue']!r}. There are: {', '.join(sorted(known()))}.")
    found = shares_of(given["queue"])
    out.json(shares_json(found))
    for kind, shares, in_all in (
        ("tenant", found.tenants, found.tenants_in_all),
        ("task", found.tasks, found.tasks_in_all),
    ):
        rows = [_share_row(share) for share in shares]
        out.table([kind, *_SHARES], rows, empty=f"No job of queue {found.queue} that waits or runs has a {kind}.")
        if in_all > len(shares):
            out.line(f"and {in_all - len(shares):,} more")
    return Exit.DONE


_SHARES = ["waiting>", "held back>", "running>", "share>", "weight>", "oldest waits>"]


def _share_row(share: Share) -> list[Any]:
    weight = None if share.weight is None else f"{share.weight:g}"
    waits = _duration(share.waiting_seconds)
    return [share.name, share.waiting, share.held, share.running, f"{share.part:.0%}", weight, waits]


VERBS = [
    Verb(("stats",), "say how much there is in each state and queue, and what gave up", _stats, _stats_arguments),
    Verb(("queues",), "list the queues", _queues, nothing),
    Verb(("shares",), "say who fills a queue, by tenant and by task", _shares, _queue_argument),
    Verb(("pause",), "let no job of a queue begin", _pause, _pause_arguments),
    Verb(("resume",), "let the jobs of a queue begin again", _resume, _queue_argument),
]
