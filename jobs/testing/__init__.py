"""The test kit, for those who build on the engine. docs/testing.md shows it.

What calls enqueue runs at once (`inline`), when the test says so (`memory` and `run_jobs`), or in a real worker
(`real_worker`). `assert_enqueued` looks, `travel` lets time pass, and the faults let happen what one day will.
"""

from jobs.testing.assertions import assert_enqueued, assert_not_enqueued, enqueued
from jobs.testing.faults import (
    broker_down,
    database_away,
    deliver_twice,
    fail_next,
    kill_worker,
    lose_lease,
)
from jobs.testing.modes import inline, memory
from jobs.testing.running import run_jobs
from jobs.testing.time_travel import travel
from jobs.testing.workers import RealWorker, real_worker

__all__ = [  # noqa: RUF022 (in the order in which a reader needs them)
    # How jobs run
    "inline",
    "memory",
    "run_jobs",
    "real_worker",
    "RealWorker",
    # What was enqueued
    "assert_enqueued",
    "assert_not_enqueued",
    "enqueued",
    # Time
    "travel",
    # Faults
    "broker_down",
    "database_away",
    "deliver_twice",
    "fail_next",
    "kill_worker",
    "lose_lease",
]
