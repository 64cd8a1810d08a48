"""What a task has done is kept under its job's lease, so that a later attempt need not do it again."""

import itertools
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from jobs.core.states import State
from jobs.ledger.dialect import Dialect, dialect
from jobs.ledger.sql import changed, in_state, one, rows

#: How long a row is waited for that somebody else's transaction holds, in seconds from one look to the next; then for
#: as long as the body may run, which is all that it holds up.
_LOOKS = (0.005, 0.01, 0.02, 0.04, 0.08)
_LONGEST_LOOK = 0.25


@dataclass(frozen=True, slots=True)
class SavedStep:
    """A step that is done, or a loop with the place it has come to.

    Attributes:
        number: its place among the job's steps, from 1.
        value: its result as JSON; of a loop the cursor of its last row that is done, if it has one.
        rows_done: how many rows of a loop are done; None for a step that is none.
        is_complete: false for a loop that has rows left.
    """

    number: int
    name: str
    value: str | None
    rows_done: int | None = None
    is_complete: bool = True


class Became(StrEnum):
    """What became of a step that was to be saved."""

    SAVED = "saved"
    #: The lease was lost: the job is another worker's by now, or has ended.
    LOST = "lost"
    #: Another attempt has saved a step of this name meanwhile.
    TAKEN = "taken"


def load(job_id: uuid.UUID) -> list[SavedStep]:
    """Return what earlier attempts of a job have saved, in order."""
    sql = dialect()
    value = "value::text" if sql.name == "postgresql" else "value"
    found = rows(
        f"SELECT number, name, {value}, rows_done, is_complete FROM jobs_step WHERE job_id = %s ORDER BY number",
        [sql.key(job_id)],
    )
    return [SavedStep(number, name, text, done, bool(complete)) for number, name, text, done, complete in found]


def save(job_id: uuid.UUID, lease_id: str, step: SavedStep, seconds: float) -> Became:
    """Keep a step, over the connection and in the transaction of the task.

    A loop that was saved before is changed. Where somebody else's transaction holds the job's row, it is waited for.

    Args:
        job_id: the running job.
        lease_id: without which nothing is kept.
        step: to be kept.
        seconds: that it took until now.
    """
    sql = dialect()
    leased = [sql.key(job_id), lease_id]
    values = [step.number, step.name, step.value, step.rows_done, step.is_complete, -seconds]
    for pause in itertools.chain(_LOOKS, itertools.repeat(_LONGEST_LOOK)):
        if one(_saving(sql), [*leased, *values]):
            return Became.SAVED
        if not one(f"SELECT 1 FROM jobs_job WHERE {_FENCE}", leased):
            return Became.LOST
        there = one(_THERE, [sql.key(job_id), step.name])
        if there is not None:
            # Names are used once in an attempt: then it is this very step, of which only the answer was lost.
            return Became.SAVED if there[0] else Became.TAKEN
        time.sleep(pause)
    raise AssertionError("unreachable: the looks never end")


#: Whether the attempt that goes on has saved a step.
_THERE = (
    "SELECT jobs_step.attempt = jobs_job.attempt FROM jobs_step JOIN jobs_job ON jobs_job.id = job_id"
    " WHERE job_id = %s AND name = %s"
)

#: A running job under a lease.
_FENCE = f"id = %s AND {in_state(State.RUNNING)} AND lease_id = %s"


@cache
def _saving(sql: Dialect) -> str:
    # The lock is the one that the reference to the job takes in any case: it is in nobody's way but a deletion's.
    lock = "FOR KEY SHARE SKIP LOCKED" if sql.name == "postgresql" else ""
    return (
        f"WITH leased AS (SELECT id, attempt FROM jobs_job WHERE {_FENCE} {lock})"
        " INSERT INTO jobs_step (job_id, attempt, number, name, value, rows_done, is_complete, started_at, finished_at)"
        f" SELECT id, attempt, CAST(%s AS integer), CAST(%s AS text), {sql.json}, CAST(%s AS integer),"
        f" CAST(%s AS boolean), {sql.after}, {sql.now} FROM leased WHERE TRUE"
        " ON CONFLICT (job_id, name) DO UPDATE SET attempt = EXCLUDED.attempt, value = EXCLUDED.value,"
        " rows_done = EXCLUDED.rows_done, is_complete = EXCLUDED.is_complete, started_at = EXCLUDED.started_at,"
        " finished_at = EXCLUDED.finished_at WHERE jobs_step.rows_done IS NOT NULL RETURNING number"
    )


def forget_from(job_ids: Collection[uuid.UUID], number: int) -> int:
    """Delete the steps of jobs from this number on: their next attempts do them again. Returns how many they were."""
    sql = dialect()
    return changed(
        f"DELETE FROM jobs_step WHERE job_id {sql.is_one_of_ids} AND number >= %s", [sql.ids(job_ids), number]
    )


def forget_of_succeeded(job_ids: Sequence[uuid.UUID]) -> int:
    """Delete the steps of those jobs that have succeeded: run again, they do all of their work again."""
    sql = dialect()
    succeeded = f"SELECT id FROM jobs_job WHERE id {sql.is_one_of_ids} AND {in_state(State.SUCCEEDED)}"
    return changed(f"DELETE FROM jobs_step WHERE job_id IN ({succeeded})", [sql.ids(job_ids)])
