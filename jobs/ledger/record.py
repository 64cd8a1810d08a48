"""A worker's parent process records what became of attempts, those that wait together in one statement for each kind.

Each end names its lease; without it nothing changes. Rows that somebody else's transaction holds are passed by.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import transaction

from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.core.retry import TOO_LONG
from jobs.core.states import FINAL, State
from jobs.ledger.attempts import ERROR_LENGTH, TRACEBACK_LENGTH, Failure, storable, success
from jobs.ledger.sql import POSTGRESQL, SQLITE, Dialect, change_named, changed, dialect, in_state, pairs_of, rows
from jobs.ledger.waiters import TELL

WITHOUT_ATTEMPT = outcomes.Released(gets_attempt_back=True)


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of one attempt.

    Attributes:
        attempt: its number.
        outcome: what is to become of the job.
        failure: why it did not succeed; None where it did.
        lost_worker: whether it counts as the job having killed its worker.
    """

    id: uuid.UUID
    lease_id: str
    attempt: int
    outcome: Outcome
    failure: Failure | None = None
    lost_worker: bool = False


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
    changes = [_change(end) for end in ends if not isinstance(end.outcome, outcomes.Succeeded)]
    sql = dialect()
    states = (_write if sql is POSTGRESQL else _write_in_turn)(good, changes)
    records = Records()
    if states:
        records.became.update((end.id, _became(end, states[end.id])) for end in ends if end.id in states)
    if len(records.became) < len(named):
        _explain([end for end in ends if end.id not in states], records, sql, again=again)
    return records


def _became(end: Ended, state: str) -> Outcome:
    return outcomes.Cancelled() if state == State.CANCELLED else end.outcome


def _write(good: Sequence[Ended], changes: Sequence[dict[str, Any]]) -> dict[uuid.UUID, str]:
    """Write ends in one statement, which is a transaction of its own. Returns the states the jobs came into."""
    if not good and not changes:
        return {}
    parameters = [pairs_of({end.id: end.lease_id for end in good})] if good else []
    if changes:
        parameters.append(json.dumps(changes))
    found = rows(_all(succeeded=bool(good), failed=bool(changes)), parameters)
    return {job_id: state for job_id, state, *_ in found}


def _write_in_turn(good: Sequence[Ended], changes: Sequence[dict[str, Any]]) -> dict[uuid.UUID, str]:
    """Do so on SQLite, where one statement changes one table."""
    with transaction.atomic() if changes else nullcontext():
        found = rows(_success(SQLITE), [pairs_of({end.id: end.lease_id for end in good})]) if good else []
        if changes:
            ended = rows(_failure(SQLITE), [json.dumps(changes)])
            _keep_in_turn(changes, {job_id for job_id, _ in ended})
            found += ended
    return {SQLITE.to_uuid(job_id): state for job_id, state in found}


def _keep_in_turn(changes: Sequence[dict[str, Any]], written: set[str]) -> None:
    kept = [change for change in changes if change["job"] in written]
    ended = f"({_given(SQLITE)}) AS named JOIN jobs_job ON id = named.job"
    if failed := [change for change in kept if change["error_type"] is not None]:
        changed(_keep_error(ended), [json.dumps(failed)])
    if snoozed := [change for change in kept if change["target"] == State.SCHEDULED]:
        changed(_count_snoozes(ended), [json.dumps(snoozed)])


#: What a failed end says of the change of its row, with the types in PostgreSQL.
_FIELDS = {
    "job": "uuid",
    "lease": "text",
    "target": "text",
    # Whether the job would run again; then an operator's wish to cancel it comes first.
    "goes_on": "boolean",
    # Seconds until it is due; null where its time stays as it is.
    "delay": "float8",
    "given_back": "integer",
    "losses": "integer",
    "holder": "text",
    "summary": "text",
    # Null where the job's history keeps no attempt.
    "error_type": "text",
    "error": "text",
    "error_traceback": "text",
}


def _change(end: Ended) -> dict[str, Any]:
    """Return the values of `_FIELDS`."""
    failure = end.failure
    if failure is None:
        raise ValueError(f"The end of job {end.id} has no failure; only a success goes without: {end.outcome!r}.")
    state, delay, holder = _target(end.outcome)
    is_given_back = isinstance(end.outcome, (outcomes.Snoozed, outcomes.HeldBack)) or end.outcome == WITHOUT_ATTEMPT
    return {
        "job": end.id.hex,
        "lease": end.lease_id,
        "target": state,
        "goes_on": state not in FINAL,
        "delay": None if delay is None else min(delay, TOO_LONG),
        "given_back": int(is_given_back),
        "losses": int(end.lost_worker),
        "holder": holder,
        "summary": failure.summary,
        "error_type": None if is_given_back else storable(failure.type)[:200],
        "error": storable(failure.message)[:ERROR_LENGTH],
        "error_traceback": storable(failure.traceback)[-TRACEBACK_LENGTH:],
    }


def state_after(outcome: Outcome) -> State:
    """Return the state an outcome leads to."""
    state, _, _ = _target(outcome)
    return state


def _target(  # noqa: PLR0911 (one line for each outcome)
    outcome: Outcome,
) -> tuple[State, float | None, str | None]:
    """Return the state an outcome leads to, in how many seconds the job is due, and what holds it back."""
    match outcome:
        case outcomes.RetryIn(delay):
            return State.RETRYING, delay, None
        case outcomes.Dead():
            return State.DEAD, None, None
        case outcomes.Snoozed(delay):
            return State.SCHEDULED, delay, None
        case outcomes.Cancelled():
            return State.CANCELLED, None, None
        case outcomes.Released():
            return State.QUEUED, 0, None
        case outcomes.HeldBack(by):
            return State.QUEUED, None, by
        case outcomes.Succeeded():
            return State.SUCCEEDED, None, None


#: A running job under the lease that is named with it.
_FENCE = f"{in_state(State.RUNNING)} AND lease_id = named.lease"


@cache
def _success(sql: Dialect) -> str:
    returning = f"id, state, {TELL} AS told" if sql is POSTGRESQL else "id, state"
    return change_named(sql.leased_jobs, _FENCE, success(sql), returning, sql)


@cache
def _failure(sql: Dialect, returning: str = "id, state") -> str:
    """Return the statement that ends failed attempts, without what is kept of them elsewhere."""
    ends_here = "named.goes_on AND cancel_requested_at IS NOT NULL"
    change = (
        f"UPDATE jobs_job SET state = CASE WHEN {ends_here} THEN '{State.CANCELLED}' ELSE named.target END,"
        f" finished_at = CASE WHEN NOT named.goes_on OR cancel_requested_at IS NOT NULL THEN {sql.now} END,"
        f" run_at = COALESCE({sql.after_seconds('named.delay')}, run_at),"
        " dispatched_at = CASE WHEN NOT named.goes_on THEN dispatched_at END,"
        " unique_key = CASE WHEN named.goes_on AND cancel_requested_at IS NULL THEN unique_key END,"
        " attempt = attempt - named.given_back, worker_losses = worker_losses + named.losses,"
        f" last_error = named.summary, changed_at = {sql.now},"
        " lease_id = NULL, lease_expires_at = NULL, cancel_requested_at = NULL, held_by = named.holder,"
        f" held_since = CASE WHEN named.holder IS NOT NULL THEN COALESCE(held_since, {sql.now}) END"
    )
    return change_named(_given(sql), _FENCE, change, returning, sql)


def _given(sql: Dialect) -> str:
    """Return a query for the changes that are given as a JSON text."""
    return sql.given(_FIELDS, few="lease")


@cache
def _all(*, succeeded: bool, failed: bool) -> str:
    """Return all that there is to do with some ends as one statement. PostgreSQL."""
    if not failed:
        return _success(POSTGRESQL)
    needed = "id, attempt, state, task, queue, worker, started_at, error_type, error, error_traceback"
    needed += f", {TELL} AS told"
    done = f"done AS ({_success(POSTGRESQL)}), " if succeeded else ""
    return (
        f"WITH {done}ended AS ({_failure(POSTGRESQL, needed)}), kept AS ({_keep_error('ended')}),"
        f" counted AS ({_count_snoozes('ended')})"
        f" SELECT id, state FROM ended{' UNION ALL SELECT id, state FROM done' if succeeded else ''}"
    )


def _keep_error(ended: str) -> str:
    return (
        "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error, traceback, worker, started_at)"
        " SELECT id, attempt, state, error_type, error, error_traceback, worker, started_at"
        f" FROM {ended} WHERE error_type IS NOT NULL"
    )


def _count_snoozes(ended: str) -> str:
    """Count snoozes, of which no row tells later."""
    return (
        "INSERT INTO jobs_tally (metric, task, queue, outcome, count, seconds)"
        f" SELECT 'snoozes', task, queue, '', COUNT(*), 0 FROM {ended} WHERE state = '{State.SCHEDULED}'"
        # In order, lest two workers wait for each other.
        " GROUP BY task, queue ORDER BY task, queue"
        " ON CONFLICT (metric, task, queue, outcome) DO UPDATE SET count = jobs_tally.count + EXCLUDED.count"
    )


def _explain(ends: Sequence[Ended], records: Records, sql: Dialect, *, again: bool) -> None:
    """Note of ends that were not written what hindered it."""
    columns = "id, state, lease_id, attempt, attempt_base, last_error"
    found = rows(f"SELECT {columns} FROM jobs_job WHERE id {sql.is_one_of_ids}", [sql.ids(end.id for end in ends)])
    stands = {sql.to_uuid(job_id): _Standing(*row) for job_id, *row in found}
    kept = _kept_errors(ends, sql) if again else {}
    for end in ends:
        now = stands.get(end.id)
        if now is not None and now.lease_id == end.lease_id:
            records.locked.add(end.id)
        elif again and now is not None and (became := _written_before(end, now, kept)) is not None:
            records.became[end.id] = became
            records.already.add(end.id)
        else:
            records.lost.add(end.id)


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a job stands now."""

    state: str
    lease_id: str | None
    attempt: int
    attempt_base: int
    last_error: str


#: Errors that are kept of attempts, by job and number of the attempt: what became of the job, type and message.
_Kept = Mapping[tuple[uuid.UUID, int], Collection[tuple[str, str, str]]]


def _kept_errors(ends: Sequence[Ended], sql: Dialect) -> _Kept:
    kept: dict[tuple[uuid.UUID, int], set[tuple[str, str, str]]] = {}
    for job_id, number, *error in rows(
        f"SELECT job_id, number, outcome, error_type, error FROM jobs_attempt WHERE job_id {sql.is_one_of_ids}",
        [sql.ids(end.id for end in ends)],
    ):
        kept.setdefault((sql.to_uuid(job_id), number), set()).add((error[0], error[1], error[2]))
    return kept


def _written_before(end: Ended, now: _Standing, kept: _Kept) -> Outcome | None:
    """Return what became of a job if this very end has been written to it; None if that is not so."""
    if end.failure is None:
        # A job that was replayed since has had its success, as far as anybody can tell.
        has_succeeded = (now.state, now.attempt) == (State.SUCCEEDED, end.attempt)
        return end.outcome if has_succeeded or now.attempt_base >= end.attempt else None
    change, cancelled = _change(end), outcomes.Cancelled()
    if change["error_type"] is not None:
        errors = kept.get((end.id, end.attempt), ())
        if (change["target"], change["error_type"], change["error"]) in errors:
            return end.outcome
        return cancelled if (State.CANCELLED, change["error_type"], change["error"]) in errors else None
    # The attempt was given back, and no row tells of it: only as long as nobody has claimed the job again is it known.
    if now.lease_id is None and (now.attempt, now.last_error) == (end.attempt - 1, change["summary"]):
        return cancelled if now.state == State.CANCELLED else end.outcome
    return None
