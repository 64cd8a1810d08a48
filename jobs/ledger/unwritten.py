"""Why an end was not written: somebody holds the row, the lease was lost, or an earlier try had written it.

An earlier try, where the answer to it was lost, is known by what it has left: nothing else tells.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.core import outcome as outcomes
from jobs.core.outcome import Outcome
from jobs.core.states import State
from jobs.ledger.attempts import Ended
from jobs.ledger.dialect import dialect
from jobs.ledger.failures import change_of
from jobs.ledger.sql import rows


@dataclass(frozen=True, slots=True)
class Unwritten:
    """What hindered ends from being written.

    Attributes:
        before: what became of jobs whose end an earlier try had written.
        locked: jobs that still run under the lease, and whose rows somebody else's transaction holds.
        lost: jobs whose lease was lost.
    """

    before: dict[uuid.UUID, Outcome] = field(default_factory=dict)
    locked: set[uuid.UUID] = field(default_factory=set)
    lost: set[uuid.UUID] = field(default_factory=set)


def explain(ends: Sequence[Ended], *, again: bool) -> Unwritten:
    """Say of ends that were not written what hindered it; `again` as in `record_many`."""
    sql, found_out = dialect(), Unwritten()
    columns = "id, state, lease_id, attempt, attempt_base, last_error"
    found = rows(f"SELECT {columns} FROM jobs_job WHERE id {sql.is_one_of_ids}", [sql.ids(end.id for end in ends)])
    stands = {sql.to_uuid(job_id): _Standing(*row) for job_id, *row in found}
    kept = _kept_errors(ends) if again else {}
    for end in ends:
        now = stands.get(end.id)
        if now is not None and now.lease_id == end.lease_id:
            found_out.locked.add(end.id)
        elif again and now is not None and (became := _written_before(end, now, kept)) is not None:
            found_out.before[end.id] = became
        else:
            found_out.lost.add(end.id)
    return found_out


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


def _kept_errors(ends: Sequence[Ended]) -> _Kept:
    sql = dialect()
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
    change, cancelled = change_of(end), outcomes.Cancelled()
    if change["error_type"] is not None:
        errors = kept.get((end.id, end.attempt), ())
        if (change["target"], change["error_type"], change["error"]) in errors:
            return end.outcome
        return cancelled if (State.CANCELLED, change["error_type"], change["error"]) in errors else None
    # The attempt was given back, and no row tells of it: only as long as nobody has claimed the job again is it known.
    if now.lease_id is None and (now.attempt, now.last_error) == (end.attempt - 1, change["summary"]):
        return cancelled if now.state == State.CANCELLED else end.outcome
    return None
