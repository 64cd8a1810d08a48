"""What keeps jobs from beginning, as JSON: the same in the API and on the command line."""

from datetime import datetime
from typing import Any

from jobs.models import BreakerChange
from jobs.operations.job_json import maybe_time_json, time_json
from jobs.reports.breakers import BreakerReport


def breaker_json(breaker: BreakerReport, now: datetime) -> dict[str, Any]:
    """Return a breaker; durations in seconds."""
    status, figures = breaker.status, breaker.figures
    return {
        "name": breaker.name,
        "state": status.state.value,
        "sentence": breaker.sentence(now),
        "opened_at": maybe_time_json(status.opened_at),
        "opened_by": breaker.opened_by,
        "reason": breaker.reason,
        "waiting": breaker.waiting,
        "next_probe_at": maybe_time_json(status.next_probe_at),
        "failed_probes": status.failed_probes,
        "probe_job_id": breaker.probe_job_id if breaker.is_probing else None,
        "failures_in_a_row": status.failures,
        "openings": breaker.openings,
        "tasks": list(breaker.tasks),
        "figures": {
            "failures": figures.failures,
            "ratio": figures.ratio,
            "minimum": figures.minimum,
            "window": figures.window,
            "pause": figures.pause,
            "longest_pause": figures.longest_pause,
        },
    }


def change_json(change: BreakerChange) -> dict[str, Any]:
    """Return when a breaker opened or closed, and why."""
    return {"at": time_json(change.at), "state": change.state, "reason": change.reason, "actor": change.actor}
