"""Is it all right? The overview's first line, in words, and what is wrong with where to look. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.core.states import State
from jobs.operations.wording import duration
from jobs.reports.queues import QueueReport

#: A queue in which nothing ended for this long while something waits does not move; one that waits this long and
#: gets more than it gives falls behind. In seconds.
STUCK_AFTER, BEHIND_AFTER = 60.0, 300.0

#: A schedule is missed this long after its time, in seconds.
MISSED_AFTER = 120.0

#: Maintenance is late where what it should have moved has waited this long, in seconds.
LATE_AFTER = 60.0

#: The cause of dead letters that grow.
DYING = "dead letters are growing"

#: Dead letters grow where an hour brings this many, and this many times what the hours before brought.
GROWING_FROM, GROWING_TIMES = 5, 3.0


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to look at.

    Attributes:
        cause: what is wrong with what, the same for as long as it lasts however the text changes.
        text: what is wrong, as a sentence.
        room, query: where to look: the page's name, and what follows the question mark.
        grave: whether it is wrong; else somebody wanted it so.
    """

    cause: str
    text: str
    room: str
    query: str = ""
    grave: bool = True


@dataclass(frozen=True, slots=True)
class Missed:
    """A schedule that should have fired."""

    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Faulty:
    """A schedule that cannot run, and why."""

    name: str
    fault: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A worker that went silent without saying that it stops."""

    name: str
    seen_at: datetime
    running: int


@dataclass(frozen=True, slots=True)
class Deaf:
    """A worker that takes no jobs from any queue although it is there, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class HeldBackJobs:
    """Jobs that wait for a worker with newer code, the first of them since a time; some of them for one with a key."""

    count: int
    since: datetime
    without_key: int = 0


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A circuit breaker that is not closed, in words, and whether an operator opened it."""

    name: str
    sentence: str
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What the verdict is about.

    Attributes:
        deaf: workers that listen to nothing.
        refused: queues that the broker refuses to workers, each with its error.
        died_today, died_lately: dead letters of the last day, and of the last hour.
        housekeeping_lag: how long the longest has waited that maintenance should have moved, in seconds.
    """

    queues: Sequence[QueueReport]
    workers: int
    died_today: int
    died_lately: int
    missed: Sequence[Missed] = ()
    faulty: Sequence[Faulty] = ()
    silent: Sequence[Silence] = ()
    deaf: Sequence[Deaf] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    held_back: HeldBackJobs | None = None
    housekeeping_lag: float = 0.0
    breakers: Sequence[OpenBreaker] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first line, and the alerts below it.

    Attributes:
        well: whether nothing is wrong.
        lead: the alert that the first line says, where one thing alone is wrong.
    """

    line: str
    alerts: tuple[Alert, ...]
    well: bool
    lead: Alert | None = None


def judge(facts: Facts, now: datetime) -> Verdict:
    """Return the verdict on how things are."""
    alerts = tuple(sorted(_alerts(facts, now), key=lambda alert: not alert.grave))
    grave = sum(alert.grave for alert in alerts)
    if not grave:
        return Verdict(f"{_moving(facts, len(alerts))} {_died(facts.died_today)}", alerts, well=True)
    if grave == 1:
        return Verdict(alerts[0].text, alerts[1:], well=False, lead=alerts[0])
    return Verdict(f"Not all is well: {grave} things need a look.", alerts, well=False)


def _moving(facts: Facts, notes: int) -> str:
    waiting = sum(queue.depth[State.QUEUED] + queue.depth[State.RUNNING] for queue in facts.queues)
    if not waiting:
        return "Nothing waits, nothing runs."
    return "All queues are moving." if not notes else "All queues that may are moving."


def _died(count: int) -> str:
    if not count:
        return "No job has died since yesterday."
    return f"{count:,} {'job' if count == 1 else 'jobs'} dead since yesterday."


def _alerts(facts: Facts, now: datetime) -> Iterator[Alert]:
    waiting = sum(queue.depth[State.QUEUED] for queue in facts.queues)
    if not facts.workers:
        yield Alert("no worker", f"No worker is running{_so_wait(waiting)}.", "workers", grave=bool(waiting))
    for deaf in facts.deaf:
        yield Alert(f"worker {deaf.name} is deaf", f"Worker {deaf.name} listens to nothing: {deaf.reason}", "workers")
    for name, error in facts.refused.items():
        yield Alert(f"queue {name} is refused", f"The broker refuses queue {name}: {error}", "queues")
    for breaker in facts.breakers:
        cause = f"breaker {breaker.name} is open"
        yield Alert(cause, f"{breaker.sentence}.", "flow", grave=not breaker.is_wanted)
    for queue in facts.queues:
        yield from _of_queue(queue, facts.workers, now)
    yield from _of_dead_letters(facts)
    if held := facts.held_back:
        jobs = f"{held.count:,} {'job needs' if held.count == 1 else 'jobs need'} {_needed(held)}"
        yield Alert("jobs held back", f"{jobs}, the first for {duration(now - held.since)}.", "jobs", "q=state:queued")
    yield from _of_schedules(facts, now)
    for silence in facts.silent:
        text = f"Worker {silence.name} went silent {duration(now - silence.seen_at)} ago"
        text += f" with {silence.running} running." if silence.running else "."
        yield Alert(f"worker {silence.name} is silent", text, "workers")
    if waiting_for := facts.housekeeping_lag if facts.workers and facts.housekeeping_lag > LATE_AFTER else 0.0:
        text = f"Maintenance is late: a job has been due, or without its worker, for {duration(waiting_for)}."
        yield Alert("maintenance is late", text, "workers")


def _needed(held: HeldBackJobs) -> str:
    if not held.without_key:
        return "newer code than any worker has"
    if held.without_key == held.count:
        return "a key that no worker has (JOBS_ENCRYPTION_KEYS)"
    return f"newer code than any worker has, or, {held.without_key:,} of them, a key (JOBS_ENCRYPTION_KEYS)"


def _of_schedules(facts: Facts, now: datetime) -> Iterator[Alert]:
    for missed in facts.missed:
        late = duration(now - missed.due_at)
        yield Alert(
            f"schedule {missed.name} is missed",
            f"Schedule {missed.name} should have run {late} ago. Is Beat running?",
            "schedules",
        )
    for faulty in facts.faulty:
        yield Alert(
            f"schedule {faulty.name} is faulty", f"Schedule {faulty.name} cannot run: {faulty.fault}", "schedules"
        )


def _of_queue(queue: QueueReport, workers: int, now: datetime) -> Iterator[Alert]:
    waiting, seconds = queue.depth[State.QUEUED], queue.waiting_seconds or 0.0
    if not waiting:
        return
    jobs = f"{waiting:,} {'job waits' if waiting == 1 else 'jobs wait'}"
    query = f"q=queue:{queue.name}+state:queued"
    if queue.paused_at is not None:
        since = duration(now - queue.paused_at)
        by = f" by {queue.paused_by}" if queue.paused_by else ""
        yield Alert(
            f"queue {queue.name} is paused",
            f"Queue {queue.name} has been paused{by} for {since}; {jobs}.",
            "queues",
            grave=False,
        )
    elif not queue.workers and workers:
        yield Alert(
            f"queue {queue.name} has no worker",
            f"No worker listens to queue {queue.name}; {jobs}, the oldest for {duration(seconds)}.",
            "queues",
        )
    elif workers and seconds > STUCK_AFTER and not queue.rate_out:
        text = f"Queue {queue.name} does not move: {jobs}, the oldest for {duration(seconds)}."
        yield Alert(f"queue {queue.name} is stuck", text, "jobs", query)
    elif workers and queue.is_late:
        target = duration(queue.target_seconds)
        text = f"Queue {queue.name} is late: {jobs}, the oldest for {duration(seconds)}, its target is {target}."
        yield Alert(f"queue {queue.name} is late", text, "jobs", query)
    elif workers and seconds > BEHIND_AFTER and queue.rate_in > queue.rate_out:
        rates = f"{queue.rate_in:.0f} a minute come, {queue.rate_out:.0f} are done"
        yield Alert(
            f"queue {queue.name} falls behind",
            f"Queue {queue.name} falls behind: {rates}, the oldest waits {duration(seconds)}.",
            "jobs",
            query,
        )


def _of_dead_letters(facts: Facts) -> Iterator[Alert]:
    before = max(facts.died_today - facts.died_lately, 0) / 23
    if facts.died_lately >= GROWING_FROM and facts.died_lately > GROWING_TIMES * before:
        usual = f"; {before:.0f} is usual" if before >= 1 else ""
        yield Alert(DYING, f"Dead letters are growing: {facts.died_lately:,} in the last hour{usual}.", "dead-letters")


def _so_wait(waiting: int) -> str:
    if not waiting:
        return ""
    return f"; {waiting:,} {'job waits' if waiting == 1 else 'jobs wait'}"


def is_missed(due_at: datetime, now: datetime) -> bool:
    """Return whether a schedule due at that time should have fired by now."""
    return now - due_at > timedelta(seconds=MISSED_AFTER)
