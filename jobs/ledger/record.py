"""A worker's parent process records what became of attempts, those that wait together in one statement for each kind.

Each end names its lease; without it nothing changes. Rows that somebody else's transaction holds are passed by.
"""

import json
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import transaction

from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.core.states import State
from jobs.ledger.attempts import Ended, success
from jobs.ledger.dialect import POSTGRESQL, SQLITE, Dialect, dialect, pairs_of
from jobs.ledger.failures import FENCE, change_of, count_snoozes, failed, given, keep_error
from jobs.ledger.sql import change_named, changed, rows
from jobs.ledger.unwritten import explain
from jobs.ledger.waiters import TELL


@dataclass(frozen=True, slots=True)
class Records:
    """What became of some ends.

    Attributes:
        became: what became of each job that was written: its outcome, or cancelled where it would have run again and
            an operator had asked for that.
        already: those of them that an earlier try had written, with all that was in its transaction.
        locked: jobs that still run under the lease, and whose rows somebody else's transaction holds: to be recorded
            when that has ended.
        lost: jobs whose lease was lost; nothing was written.
    """

    became: dict[uuid.UUID, Outcome] = field(default_factory=dict)
    already: set[uuid.UUID] = field(default_factory=set)
    locked: set[uuid.UUID] = field(default_factory=set)
    lost: set[uuid.UUID] = field(default_factory=set)


def record_many(ends: Sequence[Ended], *, again: bool = False) -> Records:
    """Running → what the outcomes say, all in one transaction; that of the caller, where there is one.

    Args:
        ends: of different jobs.
        again: whether the answer to the same question was lost, so that some may have been written. While a row is
            `locked` it may be the first try that holds it: record it again as `again`.

    Raises:
        ValueError: two ends of one job. At most one of them holds its lease; record one after the other.
    """
    named = {end.id: end for end in ends}
    if len(named) < len(ends):
        twice = sorted({str(end.id) for end in ends if named[end.id] is not end})
        raise ValueError(f"Ends of one job are recorded one after the other; these have several: {', '.join(twice)}.")
    good = [end for end in ends if isinstance(end.outcome, outcomes.Succeeded)]
    changes = [change_of(end) for end in ends if not isinstance(end.outcome, outcomes.Succeeded)]
    states = (_write if dialect() is POSTGRESQL else _write_in_turn)(good, changes)
    became = {end.id: _became(end, states[end.id]) for end in ends if end.id in states}
    if len(became) == len(named):
        return Records(became)
    left = explain([end for end in ends if end.id not in states], again=again)
    return Records(became | left.before, set(left.before), left.locked, left.lost)


def _became(end: Ended, state: str) -> Outcome:
    return outcomes.Cancelled() if state == State.CANCELLED else end.outcome


def _write(good: Sequence[Ended], changes: Sequence[dict[str, Any]]) -> dict[uuid.UUID, str]:
    """Write ends in one statement, which is a transaction of its own. Returns the states the jobs came into."""
    if not good and not changes:
        return {}
    returned = any(end.result is not None for end in good)
    parameters = [_successes(good, returned=returned)] if good else []
    if changes:
        parameters.append(json.dumps(changes))
    found = rows(_all(some_succeeded=bool(good), some_returned=returned, some_failed=bool(changes)), parameters)
    return {job_id: state for job_id, state, *_ in found}


def _write_in_turn(good: Sequence[Ended], changes: Sequence[dict[str, Any]]) -> dict[uuid.UUID, str]:
    """Do so on SQLite, where one statement changes one table."""
    with transaction.atomic() if changes else nullcontext():
        returned = any(end.result is not None for end in good)
        found = rows(_success(SQLITE, returned=returned), [_successes(good, returned=returned)]) if good else []
        if changes:
            ended = rows(failed(SQLITE), [json.dumps(changes)])
            _keep_in_turn(changes, {job_id for job_id, _ in ended})
            found += ended
    return {SQLITE.to_uuid(job_id): state for job_id, state in found}


def _keep_in_turn(changes: Sequence[dict[str, Any]], written: set[str]) -> None:
    kept = [change for change in changes if change["job"] in written]
    ended = f"({given(SQLITE)}) AS named JOIN jobs_job ON id = named.job"
    if erred := [change for change in kept if change["error_type"] is not None]:
        changed(keep_error(ended), [json.dumps(erred)])
    if snoozed := [change for change in kept if change["target"] == State.SCHEDULED]:
        changed(count_snoozes(ended), [json.dumps(snoozed)])


def _successes(good: Sequence[Ended], *, returned: bool) -> str:
    """Return the parameter of `_success`."""
    if not returned:
        return pairs_of({end.id: end.lease_id for end in good})
    return json.dumps([{"job": end.id.hex, "lease": end.lease_id, "kept": end.result} for end in good])


@cache
def _success(sql: Dialect, *, returned: bool) -> str:
    """Return the statement for successes; `returned` where results of some are kept."""
    told = f"id, state, {TELL} AS told" if sql is POSTGRESQL else "id, state"
    if not returned:
        return change_named(sql.leased_jobs, FENCE, success(sql), told, sql)
    named = sql.given({"job": "uuid", "lease": "text", "kept": "text"}, few="lease")
    kept = f"{success(sql)}, result = COALESCE({sql.json.replace('%s', 'named.kept')}, result)"
    return change_named(named, FENCE, kept, told, sql)


@cache
def _all(*, some_succeeded: bool, some_returned: bool, some_failed: bool) -> str:
    """Return all that there is to do with some ends as one statement. PostgreSQL."""
    if not some_failed:
        return _success(POSTGRESQL, returned=some_returned)
    needed = "id, attempt, state, task, queue, worker, started_at, error_type, error, error_traceback"
    needed += f", {TELL} AS told"
    done = f"done AS ({_success(POSTGRESQL, returned=some_returned)}), " if some_succeeded else ""
    return (
        f"WITH {done}ended AS ({failed(POSTGRESQL, needed)}), kept AS ({keep_error('ended')}),"
        f" counted AS ({count_snoozes('ended')})"
        f" SELECT id, state FROM ended{' UNION ALL SELECT id, state FROM done' if some_succeeded else ''}"
    )
