"""Queues, workers and schedules as JSON: the same in the API and on the command line."""

from typing import Any

from jobs.core.states import State
from jobs.models import Job, ScheduleRun, Worker
from jobs.operations.job_json import maybe_time_json, time_json
from jobs.reports import workers
from jobs.reports.flow import RuleReport, place_of
from jobs.reports.groups import GroupReport
from jobs.reports.load import QueueLoad
from jobs.reports.queues import QueueReport
from jobs.reports.shares import Share, Shares
from jobs.schedules import Entry, coming_runs


def queue_json(queue: QueueReport) -> dict[str, Any]:
    """Return a queue; rates are jobs a minute."""
    return {
        "name": queue.name,
        "depth": {state.value: number for state, number in queue.depth.items()},
        "oldest_waiting_seconds": queue.waiting_seconds,
        "target_seconds": queue.target_seconds,
        "drain_seconds": queue.drain_seconds,
        "rate_in": queue.rate_in,
        "rate_out": queue.rate_out,
        "dead_letters": queue.dead_letters,
        "workers": queue.workers,
        "broker": queue.broker,
        "paused": queue.paused_at is not None,
        "paused_at": maybe_time_json(queue.paused_at),
        "paused_by": queue.paused_by,
        "paused_until": maybe_time_json(queue.paused_until),
        "pause_reason": queue.pause_reason,
    }


def load_json(load: QueueLoad) -> dict[str, Any]:
    """Return what an autoscaler goes by."""
    queue = load.queue
    return {
        "name": queue.name,
        "waiting": load.waiting,
        "running": queue.depth[State.RUNNING],
        "oldest_waiting_seconds": queue.waiting_seconds,
        "target_seconds": load.target_seconds,
        "rate_in": queue.rate_in,
        "run_seconds": load.run_seconds,
        "workers": queue.workers,
        "slots": load.slots,
        "slots_wanted": load.slots_wanted,
        "paused": queue.paused_at is not None,
    }


def rule_json(rule: RuleReport) -> dict[str, Any]:
    """Return a limit, a pause or a weight."""
    return {
        "kind": rule.kind.value,
        "name": rule.name,
        "rate": rule.rate,
        "burst": rule.burst,
        "concurrency": rule.concurrency,
        "per_key": rule.is_per_key,
        "weight": rule.weight,
        "source": rule.source,
        "changed_by": rule.changed_by,
        "running": rule.running,
        "waiting": rule.waiting,
        "paused": rule.paused_at is not None,
        "paused_at": maybe_time_json(rule.paused_at),
        "paused_until": maybe_time_json(rule.paused_until),
        "paused_by": rule.paused_by,
        "pause_reason": rule.pause_reason,
    }


def shares_json(shares: Shares) -> dict[str, Any]:
    """Return who fills a queue."""
    return {
        "queue": shares.queue,
        "waiting": shares.waiting,
        "tenants": [_share_json(share) for share in shares.tenants],
        "tenants_in_all": shares.tenants_in_all,
        "tasks": [_share_json(share) for share in shares.tasks],
        "tasks_in_all": shares.tasks_in_all,
    }


def _share_json(share: Share) -> dict[str, Any]:
    return {
        "name": share.name,
        "waiting": share.waiting,
        "held": share.held,
        "running": share.running,
        "share": share.part,
        "weight": share.weight,
        "oldest_waiting_seconds": share.waiting_seconds,
    }


def line_json(job: Job) -> dict[str, Any] | None:
    """Return where a job stands in line; None where it stands in none."""
    place = place_of(job)
    if place is None:
        return None
    return {"rule": place.rule, "place": place.number, "seconds": place.seconds, "words": place.words}


def worker_json(worker: Worker) -> dict[str, Any]:
    """Return a worker process."""
    return {
        "id": str(worker.pk),
        "name": worker.name,
        "presence": workers.presence(worker).value,
        "host": worker.host,
        "pid": worker.pid,
        "queues": worker.queues,
        "pool": worker.pool,
        "concurrency": worker.concurrency,
        "running": worker.running,
        "memory_bytes": worker.memory_bytes,
        "started_at": time_json(worker.started_at),
        "seen_at": time_json(worker.seen_at),
        "stopped_at": maybe_time_json(worker.stopped_at),
        "connections": worker.connections,
    }


def schedule_json(entry: Entry, last: ScheduleRun | None) -> dict[str, Any]:
    """Return a schedule with its next runs and what came of the last one."""
    row = entry.row
    job = None if last is None else last.job
    return {
        "id": row.pk,
        "name": row.name,
        "task": row.task,
        "enabled": row.enabled,
        "timing": entry.timing_text,
        "cannot_run": entry.fault or None,
        "next_runs": [] if entry.fault else [moment.isoformat() for moment in coming_runs(row)],
        "last_run_at": maybe_time_json(row.last_run_at),
        "last_job_id": None if last is None or last.job_id is None else str(last.job_id),
        "last_state": None if job is None else job.state,
    }


def group_json(found: GroupReport) -> dict[str, Any]:
    """Return a group of jobs and how it stands."""
    group = found.group
    return {
        "id": str(group.pk),
        "size": group.size,
        "states": {state.value: number for state, number in found.states.items()},
        "to_come": found.to_come,
        "seconds_left": found.seconds_left,
        "follows": dict(found.callbacks),
        "body_id": None if group.body_id is None else str(group.body_id),
        "parent_id": None if group.parent_id is None else str(group.parent_id),
        "correlation_id": group.correlation_id,
        "created_at": time_json(group.created_at),
        "ended_at": maybe_time_json(group.ended_at),
        "followed_at": maybe_time_json(group.followed_at),
    }
