"""A job's life to scale."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.core.states import State
from jobs.dashboard.timeline import GAP, LEAST, WIDTH, Stretch, marks, timeline

START = datetime(2026, 11, 22, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Run:
    number: int
    outcome: str
    started_at: datetime | None
    finished_at: datetime
    error_type: str = "Broken"


@dataclass
class Life:
    state: str
    attempt: int = 1
    created_at: datetime = START
    run_at: datetime = START
    started_at: datetime | None = None
    finished_at: datetime | None = None
    worker: str = "w"
    last_error: str = ""


def told(stretches: list[Stretch]) -> list[tuple[str, bool, float]]:
    return [(stretch.state.value, stretch.is_run, stretch.took.total_seconds()) for stretch in stretches]


def test_a_wait_a_failure_a_pause_and_a_success() -> None:
    life = Life("succeeded", 2, started_at=at(4), finished_at=at(5))
    stretches = timeline(life, [Run(1, "retrying", at(1), at(2))], at(60))
    assert told(stretches) == [
        ("queued", False, 1),
        ("retrying", True, 1),
        ("retrying", False, 2),
        ("succeeded", True, 1),
    ]
    assert stretches[0].x == 0
    assert abs(stretches[-1].x + stretches[-1].width - WIDTH) < 0.1
    assert abs(stretches[2].width / stretches[1].width - 2) < 0.05


def test_what_runs_runs_until_now() -> None:
    assert told(timeline(Life("running", started_at=at(1)), [], at(9))) == [("queued", False, 1), ("running", True, 8)]


def test_what_waits_for_its_time_shows_the_time_ahead() -> None:
    stretches = timeline(Life("scheduled", 0, run_at=at(30)), [], at(10))
    assert told(stretches) == [("scheduled", False, 10), ("scheduled", False, 20)]
    assert [stretch.ahead for stretch in stretches] == [False, True]


def test_a_death_ends_with_its_last_attempt() -> None:
    life = Life("dead", 1, started_at=at(1), finished_at=at(2.5))
    assert told(timeline(life, [Run(1, "dead", at(1), at(2))], at(60))) == [("queued", False, 1), ("dead", True, 1)]


def test_what_was_cancelled_in_its_queue_waited_until_then() -> None:
    assert told(timeline(Life("cancelled", 0, finished_at=at(3)), [], at(60))) == [("queued", False, 3)]


def test_a_moment_beside_an_hour_is_seen() -> None:
    life = Life("succeeded", started_at=at(3600), finished_at=at(3600.001))
    assert all(stretch.width >= 4 for stretch in timeline(life, [], at(4000)))


def test_attempts_nobody_saw_begin_are_left_out() -> None:
    assert told(timeline(Life("queued"), [Run(1, "queued", None, at(1))], at(5))) == [("queued", False, 5)]


def test_clocks_that_disagree_turn_nothing_around() -> None:
    life = Life("succeeded", 2, started_at=at(2), finished_at=at(3))
    stretches = timeline(life, [Run(1, "retrying", at(-1), at(-0.5))], at(4))
    assert all(stretch.took >= timedelta() for stretch in stretches)
    assert stretches[-1].state is State.SUCCEEDED


@dataclass
class Done:
    started_at: datetime
    finished_at: datetime


def test_steps_lie_where_their_times_are_in_the_drawing() -> None:
    life = Life("succeeded", 1, started_at=at(10), finished_at=at(20))
    stretches = timeline(life, [], at(60))
    wait, run = stretches
    whole, half, before, after = marks(
        [Done(at(10), at(20)), Done(at(15), at(20)), Done(at(-5), at(-4)), Done(at(99), at(100))], stretches
    )
    assert (whole.x, whole.width) == (run.x, run.width - GAP)
    assert abs(half.x - run.x - run.width / 2) < 0.1
    assert (before.x, before.width) == (wait.x, LEAST / 2)
    assert after.x + after.width == WIDTH


def test_steps_lie_in_no_time_that_is_yet_to_come() -> None:
    life = Life("retrying", 1, run_at=at(100), started_at=at(1))
    stretches = timeline(life, [Run(1, "retrying", at(1), at(2))], at(3))
    assert stretches[-1].ahead
    (mark,) = marks([Done(at(1), at(2))], stretches)
    assert mark.x + mark.width <= stretches[-1].x


def test_what_was_put_off_did_not_wait_in_the_queue_until_then() -> None:
    later = Life("succeeded", run_at=at(30), started_at=at(32), finished_at=at(33))
    assert [(stretch.what, stretch.took.total_seconds()) for stretch in timeline(later, [], at(60))] == [
        ("waited for its time", 30),
        ("waited in the queue", 2),
        ("attempt 1", 1),
    ]
    running = Life("running", run_at=at(30), started_at=at(32))
    assert told(timeline(running, [], at(60))) == [
        ("scheduled", False, 30),
        ("queued", False, 2),
        ("running", True, 28),
    ]


def test_what_ran_before_and_was_no_attempt_is_said() -> None:
    life = Life("succeeded", run_at=at(30), started_at=at(32), finished_at=at(33), last_error="Snooze: 9 are done")
    first = timeline(life, [], at(60))[0]
    assert (first.state, first.what) == (State.SCHEDULED, "ran, and went back to its queue: Snooze")


def test_a_retry_that_was_asked_for_before_its_time_waited_until_it_began() -> None:
    life = Life("succeeded", 2, run_at=at(9), started_at=at(4), finished_at=at(5))
    assert told(timeline(life, [Run(1, "retrying", at(1), at(2))], at(60)))[0] == ("queued", False, 1)
    early = Life("succeeded", 1, run_at=at(9), started_at=at(4), finished_at=at(5))
    assert told(timeline(early, [], at(60))) == [("scheduled", False, 4), ("succeeded", True, 1)]
