"""What a real worker tells: logs, Sentry, OpenTelemetry."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobs.core.correlation import correlated
from jobs.core.states import State
from jobs.models import Job
from tests.acceptance.collector import Collector
from tests.acceptance.engine import on_postgres, on_sqlite, two_houses
from tests.acceptance.worker import Worker
from tests.tasks_app.effects import Effects
from tests.tasks_app.tasks import broken, discreet, flaky, note, overlong
from tests.waiting import wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
SECRET = "hunter2-and-more"  # noqa: S105 (a test's own)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Whoever is told."""
    with Collector() as collector:
        yield collector


def ended(*jobs: Any) -> bool:
    return all(State(Job.objects.get(pk=job.id).state) in {State.SUCCEEDED, State.DEAD} for job in jobs)


def lines(worker: Worker) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.log_text().splitlines() if line.startswith("{")]


@on_sqlite
def test_every_line_about_a_job_says_which_and_none_its_secrets(
    start_worker: Callable[..., Worker], effects: Effects
) -> None:
    with correlated("order-4711"):
        jobs = [flaky.delay("x", failures=1), discreet.delay("name", SECRET), discreet.delay(7, secret=SECRET)]  # type: ignore[arg-type]
    worker = start_worker(pool="threads", environment={"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"})
    wait_for(lambda: ended(*jobs), 30)
    worker.stop()
    about = [line for line in lines(worker) if line.get("job") == jobs[0].id]
    assert {line["correlation"] for line in about} >= {"order-4711"}
    assert {line["attempt"] for line in about} >= {1, 2}
    assert {line["task"] for line in about} == {flaky.name}
    assert SECRET not in worker.log_text()
    assert lines(worker)[-1]["level"]


@on_postgres
def test_sentry_hears_of_jobs_that_gave_up_and_of_no_retry(
    start_worker: Callable[..., Worker], effects: Effects, collector: Collector, tmp_path: Any
) -> None:
    with correlated("order-4711"):
        retried, dead = flaky.delay("x", failures=2), broken.delay(SECRET)
        hidden = discreet.delay("name", SECRET)
    late = overlong.delay("x", str(tmp_path / "never"))
    worker = start_worker(pool="prefork", environment={"SENTRY_DSN": f"http://key@{collector.address}/1"})
    wait_for(lambda: ended(retried, dead, hidden, late), 40)
    wait_for(lambda: len(collector.items("event")) >= 2, 20)
    worker.stop()
    events = collector.items("event")
    raised = [event for event in events if "exception" in event]
    assert [event["contexts"]["job"]["id"] for event in raised] == [dead.id]
    (event,) = raised
    assert event["exception"]["values"][-1]["type"] == "Broken"
    assert event["exception"]["values"][-1]["mechanism"] == {"type": "celery", "handled": False}
    assert event["transaction"] == broken.name
    assert (
        event["tags"] | {"correlation": "order-4711", "celery_task_id": dead.id, "task": broken.name} == event["tags"]
    )
    assert event["contexts"]["job"]["attempt"] == 1
    assert "vars" not in str(event["exception"])
    # What no task raised is told as well: the parent process logs it.
    assert any(late.id in json.dumps(event) for event in events if event not in raised)


@on_sqlite
def test_sentry_is_told_how_a_schedules_run_ended(
    start_worker: Callable[..., Worker], effects: Effects, collector: Collector
) -> None:
    headers = {"periodic_task_name": "Tidy up: nightly"}
    jobs = [note.apply_async(("x",), headers=headers), broken.apply_async(("x",), headers=headers), note.delay("y")]
    worker = start_worker(pool="threads", environment={"SENTRY_DSN": f"http://key@{collector.address}/1"})
    wait_for(lambda: ended(*jobs), 30)
    wait_for(lambda: len(collector.items("check_in")) >= 4, 20)
    worker.stop()
    told = collector.items("check_in")
    assert {one["monitor_slug"] for one in told} == {"tidy-up-nightly"}
    by_run: dict[str, set[str]] = {job.id.replace("-", ""): set() for job in jobs[:2]}
    for one in told:
        by_run[one["check_in_id"]].add(one["status"])
    assert list(by_run.values()) == [{"in_progress", "ok"}, {"in_progress", "error"}]


@two_houses
def test_a_trace_goes_through_the_ledger_into_the_worker(
    start_worker: Callable[..., Worker], effects: Effects, collector: Collector, pool: str
) -> None:
    job = flaky.apply_async(("x", 1), headers={"traceparent": TRACEPARENT})
    dead = broken.apply_async(("x",), headers={"traceparent": TRACEPARENT})
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    worker = start_worker(pool=pool, environment=environment)
    wait_for(lambda: ended(job, dead), 30)
    wait_for(lambda: len(collector.spans()) >= 3, 20)
    worker.stop()
    spans = [span for span in collector.spans() if span.name in {flaky.name, broken.name}]
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert {span.parent_span_id.hex() for span in spans} == {"00f067aa0ba902b7"}
    # An attempt that is followed by another is no error of the trace; a job that gives up is.
    assert sorted((span.name == broken.name, span.status.code) for span in spans) == [(False, 0), (False, 0), (True, 2)]
