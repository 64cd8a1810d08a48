"""The states of a job and the transitions between them. Nothing else lists them.

scheduled   waits for its time (`run_at`)
queued      due; its message is on the way to a worker, or will be
running     claimed by a worker that holds the lease
retrying    failed; waits for its next attempt (`run_at`)
succeeded   done
dead        gave up; kept as a dead letter until replayed or discarded
cancelled   no longer wanted
"""

from enum import StrEnum


class State(StrEnum):
    """Where a job stands. The value is what the ledger stores."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"


#: Sorts after QUEUED and before all states that come after that, in any language's order: an index says by it which
#: queries it is for.
AFTER_QUEUED = "r"

#: States a job is enqueued in.
INITIAL = frozenset({State.QUEUED, State.SCHEDULED})

#: States that end a job; `finished_at` is set exactly in these.
FINAL = frozenset({State.SUCCEEDED, State.DEAD, State.CANCELLED})

#: States in which a job waits for its time; maintenance moves them on when `run_at` has come.
WAITING = frozenset({State.SCHEDULED, State.RETRYING})

#: For each state, the states a job may go to from there.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.SCHEDULED: frozenset({State.QUEUED, State.CANCELLED, State.DEAD}),
    State.RETRYING: frozenset({State.QUEUED, State.CANCELLED, State.DEAD}),
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED, State.DEAD}),
    State.RUNNING: frozenset(
        {
            State.SUCCEEDED,
            State.RETRYING,
            State.DEAD,
            State.SCHEDULED,
            State.QUEUED,
            State.CANCELLED,
        }
    ),
    State.SUCCEEDED: frozenset({State.QUEUED}),
    State.DEAD: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}


def sources(target: State) -> frozenset[State]:
    """Return the states from which `target` may be reached."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)
