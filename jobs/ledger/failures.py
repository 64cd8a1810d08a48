"""What the end of an attempt that did not succeed changes: its job's row, the errors kept, the snoozes counted.

Each is written for many at once, of which a JSON text tells: see `FIELDS`.
"""

from functools import cache
from typing import Any

from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.core.retry import TOO_LONG
from jobs.core.states import FINAL, State
from jobs.ledger.attempts import ERROR_LENGTH, TRACEBACK_LENGTH, Ended, storable
from jobs.ledger.dialect import Dialect
from jobs.ledger.sql import change_named, in_state

#: A running job under the lease that is named with it.
FENCE = f"{in_state(State.RUNNING)} AND lease_id = named.lease"

#: What a failed end says of the change of its row, with the types in PostgreSQL.
FIELDS = {
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


def change_of(end: Ended) -> dict[str, Any]:
    """Return the values of `FIELDS`. Raises ValueError where the end, which is no success, says no failure."""
    failure = end.failure
    if failure is None:
        raise ValueError(f"The end of job {end.id} has no failure; only a success goes without: {end.outcome!r}.")
    state, delay, holder = _target(end.outcome)
    is_given_back = isinstance(end.outcome, (outcomes.Snoozed, outcomes.HeldBack)) or end.outcome == outcomes.Released(
        gets_attempt_back=True
    )
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


@cache
def failed(sql: Dialect, returning: str = "id, state") -> str:
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
    return change_named(given(sql), FENCE, change, returning, sql)


def given(sql: Dialect) -> str:
    """Return a query for the changes that are given as a JSON text."""
    return sql.given(FIELDS, few="lease")


def keep_error(ended: str) -> str:
    """Return the statement that keeps the errors of attempts that ended."""
    return (
        "INSERT INTO jobs_attempt (job_id, number, outcome, error_type, error, traceback, worker, started_at)"
        " SELECT id, attempt, state, error_type, error, error_traceback, worker, started_at"
        f" FROM {ended} WHERE error_type IS NOT NULL"
    )


def count_snoozes(ended: str) -> str:
    """Return the statement that counts snoozes, of which no row tells later."""
    return (
        "INSERT INTO jobs_tally (metric, task, queue, outcome, count, seconds)"
        f" SELECT 'snoozes', task, queue, '', COUNT(*), 0 FROM {ended} WHERE state = '{State.SCHEDULED}'"
        # In order, lest two workers wait for each other.
        " GROUP BY task, queue ORDER BY task, queue"
        " ON CONFLICT (metric, task, queue, outcome) DO UPDATE SET count = jobs_tally.count + EXCLUDED.count"
    )
