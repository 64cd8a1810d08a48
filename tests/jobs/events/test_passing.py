"""States that nobody saw, told from the times that the ledger keeps."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.events.passing import changes
from jobs.models import Job

START = datetime(2026, 11, 22, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(state: str, changed: float, **values: Any) -> Job:
    base: dict[str, Any] = {
        "id": uuid.uuid4(),
        "task": "t",
        "queue": "q",
        "args": [],
        "kwargs": {},
        "priority": 5,
        "attempt": 1,
        "worker": "w",
        "last_error": "",
        "correlation_id": "",
        "created_at": at(0),
        "run_at": at(0),
    }
    return Job(**{**base, "state": state, "changed_at": at(changed), **values})


def told(row: Job, until: float) -> list[tuple[str, float, bool]]:
    return [
        (one.state.value, (one.position.at - START).total_seconds(), one.body["passed"])
        for one in changes(row, at(until))
    ]


def test_a_life_between_two_reads_is_told_whole() -> None:
    row = job("succeeded", 3, started_at=at(1), finished_at=at(3))
    assert told(row, -1) == [("queued", 0, True), ("running", 1, True), ("succeeded", 3, False)]


def test_what_was_told_is_not_told_again() -> None:
    row = job("succeeded", 3, started_at=at(1), finished_at=at(3))
    assert told(row, 0) == [("running", 1, True), ("succeeded", 3, False)]
    assert told(row, 1) == [("succeeded", 3, False)]


def test_a_passed_state_looks_as_the_job_looked_then() -> None:
    row = job("succeeded", 3, started_at=at(1), finished_at=at(3), progress={"done": 1})
    queued, running, _ = (one.body for one in changes(row, at(-1)))
    assert (queued["attempt"], queued["worker"], queued["started_at"], queued["finished_at"]) == (0, "", None, None)
    assert (running["attempt"], running["worker"], running["finished_at"]) == (1, "w", None)
    assert running["started_at"] is not None
    assert queued["changed_at"] < running["changed_at"]


def test_one_that_waited_for_its_time_began_scheduled() -> None:
    assert told(job("running", 10, started_at=at(10), run_at=at(9)), -1)[0] == ("scheduled", 0, True)


def test_a_failure_tells_of_the_attempt_before_it() -> None:
    row = job("retrying", 2, started_at=at(1), attempt=1, last_error="E: no", run_at=at(3))
    assert told(row, 0) == [("running", 1, True), ("retrying", 2, False)]
    assert next(changes(row, at(0))).body["last_error"] == ""


def test_a_snoozed_attempt_is_counted_while_it_ran() -> None:
    row = job("scheduled", 2, started_at=at(1), attempt=0, run_at=at(60))
    assert next(one.body["attempt"] for one in changes(row, at(0)) if one.state == "running") == 1


def test_after_two_attempts_the_first_state_is_not_guessed() -> None:
    row = job("succeeded", 9, started_at=at(8), finished_at=at(9), attempt=2, run_at=at(7))
    assert told(row, -1) == [("running", 8, True), ("succeeded", 9, False)]


def test_what_was_cancelled_in_its_queue_never_ran() -> None:
    assert told(job("cancelled", 2, attempt=0, finished_at=at(2)), -1) == [("queued", 0, True), ("cancelled", 2, False)]
