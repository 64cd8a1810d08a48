"""A call becomes a row in the caller's transaction, and a message only when that commits."""

import os
import sqlite3
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from jobs import EnqueueError
from jobs.core.states import State
from jobs.ledger.maintain import take_undispatched
from jobs.models import Job
from tests import forks
from tests.environment import environment
from tests.jobs.wire import jobs_named, messages, queue_length
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.waiting import always, wait_for


@pytest.mark.django_db
def test_a_call_returns_a_result_that_leads_to_its_row() -> None:
    result = tasks.note.delay("x")
    job = result.job
    assert str(job.id) == result.id
    assert (job.task, job.queue, job.state) == ("tests.tasks_app.tasks.note", "default", State.QUEUED)
    assert (job.args, job.kwargs, job.priority, job.max_retries) == (["x"], {}, 5, 5)
    assert (job.attempt, job.dispatched_at, job.options) == (0, None, None)


@pytest.mark.django_db
def test_ids_sort_by_time() -> None:
    ids = [tasks.noop.delay().id for _ in range(20)]
    assert ids == sorted(ids)


@pytest.mark.django_db
def test_a_tasks_own_options_are_the_defaults() -> None:
    job = tasks.elsewhere.delay("x").job
    assert (job.queue, job.priority, job.max_retries) == ("tests.other", 2, 1)
    assert job.expires_at is not None
    assert job.expires_at - job.created_at == timedelta(hours=1)


@pytest.mark.django_db
def test_a_calls_options_win() -> None:
    given = uuid.uuid4()
    job = tasks.elsewhere.apply_async(
        kwargs={"effect": "x"},
        queue="default",
        priority=9,
        expires=60,
        task_id=str(given),
        headers={"x-tenant": "a"},
        correlation_id="request-1",
        time_limit=5,
    ).job
    assert (job.id, job.queue, job.priority, job.kwargs) == (given, "default", 9, {"effect": "x"})
    assert job.options == {"headers": {"x-tenant": "a"}, "time_limit": 5}
    assert job.correlation_id == "request-1"
    assert job.expires_at is not None
    assert job.expires_at - job.created_at == timedelta(seconds=60)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "options, seconds",
    [
        ({"countdown": 60}, 60),
        ({"countdown": 0.5}, 0.5),
        ({"countdown": timedelta(minutes=2)}, 120),
        ({"eta": lambda: datetime.now(UTC) + timedelta(hours=1)}, 3600),
        ({"eta": lambda: datetime.now().astimezone() + timedelta(hours=1)}, 3600),
        ({"eta": lambda: datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)}, 3600),
    ],
    ids=["countdown", "fraction", "timedelta", "eta", "eta elsewhere", "naive eta"],
)
def test_a_job_for_later_is_scheduled(options: dict[str, Any], seconds: float) -> None:
    options = {name: value() if callable(value) else value for name, value in options.items()}
    job = tasks.note.apply_async(["later"], **options).job
    assert job.state == State.SCHEDULED
    assert abs((job.run_at - job.created_at).total_seconds() - seconds) < 1


@pytest.mark.django_db
@pytest.mark.parametrize("options", [{"countdown": 0}, {"eta": datetime(2020, 1, 1, tzinfo=UTC)}])
def test_a_time_that_has_come_is_now(options: dict[str, Any]) -> None:
    job = tasks.note.apply_async(["now"], **options).job
    assert job.state == State.QUEUED
    assert abs((job.run_at - job.created_at).total_seconds()) < 1


@pytest.mark.django_db(transaction=True)
def test_a_job_outside_a_transaction_is_sent_at_once(valkey: Valkey) -> None:
    job = tasks.note.delay("x").job
    (message,) = wait_for(lambda: messages(valkey, "default"))
    assert message.headers["id"] == str(job.id)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_the_commit(valkey: Valkey) -> None:
    with transaction.atomic():
        tasks.note.delay("x")
        always(lambda: queue_length(valkey, "default") == 0, 0.3)
    wait_for(lambda: queue_length(valkey, "default") == 1)


@pytest.mark.django_db(transaction=True)
def test_a_rollback_leaves_neither_row_nor_message(valkey: Valkey) -> None:
    with transaction.atomic():
        tasks.note.delay("x")
        tasks.note.delay_many([["y"], ["z"]])
        transaction.set_rollback(True)
    tasks.note.delay("witness")
    wait_for(lambda: queue_length(valkey, "default") == 1)
    assert Job.objects.count() == 1
    always(lambda: queue_length(valkey, "default") == 1, 0.3)


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_savepoint_takes_only_its_own_jobs(valkey: Valkey) -> None:
    with transaction.atomic():
        tasks.note.delay("before")
        with transaction.atomic():
            tasks.note.delay("undone")
            with transaction.atomic():
                tasks.note.delay("undone too")
            transaction.set_rollback(True)
        with transaction.atomic():
            tasks.note.delay("nested")
        tasks.note.delay("after")
    wait_for(lambda: len(jobs_named(valkey, "default")) == 3)
    assert set(jobs_named(valkey, "default")) == {str(job.id) for job in Job.objects.all()}
    assert {job.args[0] for job in Job.objects.all()} == {"before", "nested", "after"}


@pytest.mark.django_db(transaction=True)
def test_all_jobs_of_a_transaction_are_published_together_and_in_order(valkey: Valkey) -> None:
    tasks.noop.delay()
    wait_for(lambda: not Job.objects.filter(dispatched_at=None).exists())
    valkey.flush()
    read_before = valkey.client.info("stats")["total_reads_processed"]
    jobs = []
    with transaction.atomic():
        for number in range(100):
            with transaction.atomic():
                jobs.append(tasks.note.delay(str(number)).id)
    wait_for(lambda: not Job.objects.filter(dispatched_at=None).exists())
    # In chunks: far fewer pieces for the server to read than there are jobs.
    assert valkey.client.info("stats")["total_reads_processed"] - read_before < 30
    assert jobs_named(valkey, "default") == jobs


@pytest.mark.django_db(transaction=True)
def test_a_job_for_later_is_not_sent_at_the_commit(valkey: Valkey) -> None:
    with transaction.atomic():
        tasks.note.apply_async(["later"], countdown=60)
    tasks.note.delay("witness")
    wait_for(lambda: queue_length(valkey, "default") == 1)
    always(lambda: queue_length(valkey, "default") == 1, 0.3)


@pytest.mark.django_db(transaction=True)
def test_what_was_sent_is_noted_in_the_ledger(valkey: Valkey) -> None:
    result = tasks.note.delay("x")
    wait_for(lambda: result.job.dispatched_at is not None)
    assert result.job.state == State.QUEUED


@pytest.mark.django_db(transaction=True)
def test_a_queue_of_its_own_needs_no_configuration(valkey: Valkey) -> None:
    tasks.elsewhere.delay("x")
    wait_for(lambda: queue_length(valkey, "tests.other") == 1)
    assert queue_length(valkey, "default") == 0


def expiry(job: Job) -> datetime:
    assert job.expires_at is not None
    return job.expires_at


@pytest.mark.django_db
@pytest.mark.parametrize("countdown", [None, 60], ids=["now", "later"])
def test_many_jobs_are_written_as_one_by_one(countdown: float | None, valkey: Valkey) -> None:
    options: dict[str, Any] = {"priority": 7, "headers": {"x": "é"}, "expires": 600}
    if countdown:
        options["countdown"] = countdown
    many = tasks.step.delay_many([{"before": None, "name": "ü\\'\t\n"}, ["b", "c"]], **options)
    single = tasks.step.apply_async(kwargs={"before": None, "name": "ü\\'\t\n"}, **options)
    rows = [result.job for result in many]
    assert [(row.args, row.kwargs) for row in rows] == [([], {"before": None, "name": "ü\\'\t\n"}), (["b", "c"], {})]
    for row in rows:
        for field in ("task", "queue", "state", "options", "priority", "max_retries", "correlation_id", "attempt"):
            assert getattr(row, field) == getattr(single.job, field), field
        assert abs(row.run_at - single.job.run_at) < timedelta(seconds=1)
        assert abs(expiry(row) - expiry(single.job)) < timedelta(seconds=1)


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, 1200])
def test_as_many_jobs_are_written_as_asked_for_in_order(
    count: int, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    results = tasks.note.delay_many([str(number)] for number in range(count))
    written = dict(Job.objects.values_list("id", "args"))
    assert [written[uuid.UUID(result.id)] for result in results] == [[str(number)] for number in range(count)]
    assert len(written) == count


@pytest.mark.django_db(transaction=True)
def test_many_jobs_are_sent_together_on_commit(valkey: Valkey) -> None:
    with transaction.atomic():
        results = tasks.note.delay_many([str(number)] for number in range(250))
        assert queue_length(valkey, "default") == 0
    wait_for(lambda: queue_length(valkey, "default") == 3)
    sent = [message.job_ids for message in messages(valkey, "default")]
    assert [len(ids) for ids in sent] == [100, 100, 50]
    assert [job_id for ids in sent for job_id in ids] == [result.id for result in results]
    wait_for(lambda: not Job.objects.filter(dispatched_at=None).exists())


@pytest.mark.django_db
def test_a_large_body_below_the_limit_is_taken() -> None:
    text = "é" * 30_000
    assert tasks.note.delay(text).job.args == [text]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value",
    [
        None,
        [1, [2.5, {"a": [True]}]],
        "\u2028\U0001f600",
        "a \\u0000 spelled out",
        10**15,
        {"nested": {"key": "%s"}},
    ],
)
def test_whatever_json_can_say_comes_back_as_it_was(value: Any) -> None:
    assert tasks.note.delay(value).job.args == [value]


@pytest.mark.django_db
def test_dates_uuids_and_decimals_are_written_as_celery_writes_them() -> None:
    moment = timezone.now()
    job = tasks.note.apply_async([{"at": moment, "id": uuid.UUID(int=7)}]).job
    assert job.args[0]["id"] is not None


@pytest.mark.django_db
def test_a_call_with_an_id_that_is_there_returns_that_job() -> None:
    given = str(uuid.uuid4())
    first = tasks.note.apply_async(["first"], task_id=given)
    second = tasks.note.apply_async(["second"], task_id=given)
    assert first.id == second.id == given
    assert Job.objects.get().args == ["first"]


@pytest.mark.django_db
def test_an_id_of_another_tasks_job_is_refused() -> None:
    job = tasks.note.delay("a").job
    with pytest.raises(EnqueueError, match=rf"noop: task_id='{job.id}' is the id of a job of .*note"):
        tasks.noop.apply_async(task_id=str(job.id))


@pytest.mark.django_db(transaction=True)
def test_a_caller_who_commits_by_hand_gets_its_job_dispatched_by_maintenance(valkey: Valkey) -> None:
    transaction.set_autocommit(False)
    try:
        result = tasks.note.delay("by hand")
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert queue_length(valkey, "default") == 0
    assert [str(one.id) for one in take_undispatched(0, 10)] == [result.id]


#: Fails to start a thread, as a process at the limit of its user's processes does.
AT_THE_LIMIT = """
import sys, threading
import django
django.setup()
from django.db import connection, transaction
from jobs.models import Job
from tests.tasks_app import tasks

def start(self):
    raise RuntimeError("can't start new thread")

threading.Thread.start = start
later = []
with transaction.atomic():
    result = tasks.note.delay("x")
    transaction.on_commit(lambda: later.append("the caller's own hook"))
print(later, Job.objects.get(pk=result.id).state)
Job.objects.all().delete()
"""


@pytest.mark.django_db(transaction=True)
def test_a_dispatcher_that_cannot_start_is_no_error_of_the_caller(database_url: str) -> None:
    done = forks.run("-c", AT_THE_LIMIT, environment={**os.environ, "DATABASE_URL": database_url})
    assert done.stdout == '["the caller\'s own hook"] queued\n', done.stderr


@pytest.fixture
def database_url() -> str:
    """The database that this test writes to, for another process."""
    kept = connection.settings_dict
    name = kept["NAME"]
    return f"sqlite:///{name}" if connection.vendor == "sqlite" else environment.postgres.url(str(name))


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite_only
def test_a_call_waits_for_a_writer_for_a_bounded_time_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    connection.close()
    writer = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            OperationalError, match=r"somebody else has been writing .* for 0\.1 s.*Nothing was written"
        ):
            tasks.noop.delay()
    finally:
        writer.close()
        connection.close()
    assert tasks.noop.delay().job.state == "queued"
