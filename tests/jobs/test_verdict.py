"""Is it all right? In words."""

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.core.states import State
from jobs.reports.queues import QueueReport
from jobs.reports.verdict import Deaf, Facts, HeldBackJobs, Missed, Silence, Verdict, judge

NOW = datetime.now(UTC)


def queue(name: str = "email", **values: Any) -> QueueReport:
    depth = dict.fromkeys(State, 0) | values.pop("depth", {})
    base: dict[str, Any] = {"oldest_due_at": None, "rate_in": 0.0, "rate_out": 0.0, "dead_letters": 0, "workers": 1}
    return QueueReport(name=name, depth=depth, **{**base, **values})


def waiting(count: int, minutes: float, **values: Any) -> QueueReport:
    # A report says how long its oldest job waits now, however long ago this module was read.
    due = datetime.now(UTC) - timedelta(minutes=minutes)
    return queue(depth={State.QUEUED: count}, oldest_due_at=due, **values)


def on(*queues: QueueReport, **values: Any) -> Verdict:
    facts = {"queues": queues, "workers": 1, "died_today": 0, "died_lately": 0, **values}
    return judge(Facts(**facts), NOW)


def test_all_is_well() -> None:
    verdict = on(waiting(3, 0.1, rate_out=20), died_today=3)
    assert verdict.well
    assert verdict.line == "All queues are moving. 3 jobs dead since yesterday."


def test_all_is_quiet() -> None:
    assert on(queue()).line == "Nothing waits, nothing runs. No job has died since yesterday."


def test_no_worker_at_all_is_said_once() -> None:
    verdict = on(waiting(4, 9), waiting(5, 9), workers=0)
    assert verdict.line == "No worker is running; 9 jobs wait."
    assert not verdict.alerts
    assert verdict.lead is not None
    assert verdict.lead.room == "workers"


def test_no_worker_is_no_harm_while_nothing_waits() -> None:
    assert on(queue(), workers=0).well


def test_one_thing_wrong_is_the_first_line() -> None:
    verdict = on(waiting(1, 5, workers=0))
    assert verdict.line == "No worker listens to queue email; 1 job waits, the oldest for 5 min."
    assert not verdict.well


def test_jobs_that_need_newer_code_are_told_of() -> None:
    held = HeldBackJobs(2, NOW - timedelta(minutes=5))
    assert on(queue(), held_back=held).line == "2 jobs need newer code than any worker has, the first for 5 min."


def test_several_are_counted_and_listed() -> None:
    verdict = on(waiting(2, 5), waiting(9, 30, name="storage", rate_in=90.0, rate_out=60.0))
    assert verdict.line == "Not all is well: 2 things need a look."
    assert [alert.text for alert in verdict.alerts] == [
        "Queue email does not move: 2 jobs wait, the oldest for 5 min.",
        "Queue storage falls behind: 90 a minute come, 60 are done, the oldest waits 30 min.",
    ]


def test_a_pause_is_a_note_and_no_alarm() -> None:
    verdict = on(waiting(2, 50, paused_at=NOW - timedelta(hours=1), paused_by="ada@example.com"))
    assert verdict.well
    assert verdict.line.startswith("All queues that may are moving.")
    assert verdict.alerts[0].text == "Queue email has been paused by ada@example.com for 1 h; 2 jobs wait."


def test_dead_letters_grow_where_an_hour_brings_more_than_usual() -> None:
    assert not on(died_today=30, died_lately=8).well
    assert on(died_today=120, died_lately=8).well
    assert on(died_today=4, died_lately=4).well


def test_missed_schedules_and_silent_workers_are_said() -> None:
    verdict = on(
        missed=[Missed("Sitemap", NOW - timedelta(minutes=12))],
        silent=[Silence("w@host", NOW - timedelta(minutes=3), 2)],
    )
    assert [alert.text for alert in verdict.alerts] == [
        "Schedule Sitemap should have run 12 min ago. Is Beat running?",
        "Worker w@host went silent 3 min ago with 2 running.",
    ]


def test_a_worker_that_listens_to_nothing_is_something_to_look_at() -> None:
    verdict = on(queue(), deaf=[Deaf("worker@one", "The broker refuses: it is a replica.")])
    assert verdict.line == "Worker worker@one listens to nothing: The broker refuses: it is a replica."
    assert verdict.lead is not None
    assert verdict.lead.room == "workers"


def test_a_queue_that_the_broker_refuses_is_something_to_look_at() -> None:
    verdict = on(queue(), refused={"email": "PRECONDITION_FAILED"})
    assert verdict.line == "The broker refuses queue email: PRECONDITION_FAILED"


def test_late_maintenance_is_told_where_a_worker_could_do_it() -> None:
    assert on(queue(), housekeeping_lag=90.0).line == (
        "Maintenance is late: a job has been due, or without its worker, for 2 min."
    )
    assert on(queue(), housekeeping_lag=30.0).well
    assert on(queue(), housekeeping_lag=90.0, workers=0).well


def test_a_cause_stays_the_same_while_its_sentence_changes() -> None:
    first, second = on(waiting(1, 5, workers=0)).lead, on(waiting(9, 50, workers=0)).lead
    assert first is not None
    assert second is not None
    assert first.cause == second.cause == "queue email has no worker"
    assert first.text != second.text


def test_a_queue_that_is_past_its_target_is_late() -> None:
    late = waiting(3, 0.5, rate_out=9, target_seconds=10.0)
    assert on(late).line == "Queue email is late: 3 jobs wait, the oldest for 30.0 s, its target is 10.0 s."
    assert on(waiting(3, 0.5, rate_out=9, target_seconds=60.0)).well
    assert on(waiting(0, 0.5, target_seconds=10.0)).well


def test_a_queue_that_is_late_for_a_graver_reason_is_told_of_once() -> None:
    verdict = on(waiting(3, 5, target_seconds=10.0))
    assert verdict.line == "Queue email does not move: 3 jobs wait, the oldest for 5 min."
    assert not verdict.alerts
