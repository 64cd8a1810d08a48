"""What gives up or cannot be read: parked, archived, and run again; whatever is away meanwhile."""

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import connection

from jobs.enqueue.dispatcher import flush
from jobs.models import DeadLetter, Job, Worker as WorkerEntry
from jobs.operations.dead_letter_actions import discard, replay, replay_corrected
from jobs.operations.filters import DeadLetterFilter
from tests.acceptance.engine import AWAY, IMPATIENT, QUICK, ended, happened, on_postgres
from tests.acceptance.worker import Worker
from tests.databases import Database
from tests.environment import environment
from tests.servers import Valkey
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

Start = Callable[..., Worker]


@pytest.fixture
def worker(start_worker: Start) -> Iterator[Worker]:
    """A worker that loses patience soon."""
    yield start_worker(options=QUICK, environment=IMPATIENT)
    flush()


def _letters(count: int, **conditions: object) -> list[DeadLetter]:
    found = DeadLetter.objects.filter(**conditions)
    wait_for(lambda: found.count() >= count, 30, what=f"{count} letters: {conditions}", passing_over=AWAY)
    return list(found)


def _envelope(body: bytes, *, content_type: str = "application/json", **headers: object) -> bytes:
    """Return a message as Kombu puts it into a list of Redis."""
    properties = {
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": "", "routing_key": "default"},
    }
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": content_type,
            "content-encoding": "utf-8",
            "headers": {"lang": "py", "task": "tests.tasks_app.tasks.note", "id": str(uuid.uuid4()), **headers},
            "properties": properties,
        }
    ).encode()


PLAIN = b'[["x"], {}, {}]'

#: What reaches a queue and cannot be run, and the reason it is kept under.
UNRUNNABLE: dict[str, tuple[bytes, str]] = {
    "bad JSON": (_envelope(b"{not json"), "unreadable"),
    "truncated": (_envelope(PLAIN[:9]), "unreadable"),
    "a content type that is refused": (
        _envelope(b"\x80\x04N.", content_type="application/x-python-serialize"),
        "unreadable",
    ),
    "garbage that says it is compressed": (_envelope(PLAIN, compression="application/x-gzip"), "unreadable"),
    "a body of another shape": (_envelope(b'{"a": 1}'), "unreadable"),
    "arguments that are no mapping": (_envelope(b'[["x"], ["y"], {}]'), "invalid"),
    "arguments that do not fit": (_envelope(b'[["x", "y", "z"], {}, {}]'), "invalid"),
    "a time that is none": (_envelope(PLAIN, eta="tomorrow"), "invalid"),
    "an unknown task": (_envelope(PLAIN, task="no.such.task"), "unknown-task"),
    "no task at all": (_envelope(PLAIN, task=None), "unknown-task"),
    "no envelope": (b"garbage{{", "unreadable"),
    "an envelope of another kind": (b"[1, 2]", "unreadable"),
    "an envelope without properties": (b'{"body": "e30=", "headers": {}}', "unreadable"),
    "a body that is no base64": (_envelope(PLAIN).replace(base64.b64encode(PLAIN), b"!!!"), "unreadable"),
}


def test_no_message_is_dropped_and_none_stops_the_worker(worker: Worker, valkey: Valkey, effects: Effects) -> None:
    for message, _ in UNRUNNABLE.values():
        valkey.client.lpush("default", message)
    tasks.note.delay("after them")
    happened(effects, "after them")
    letters = _letters(len(UNRUNNABLE))
    assert sorted(letter.reason for letter in letters) == sorted(reason for _, reason in UNRUNNABLE.values())
    assert {letter.queue for letter in letters} == {"default"}
    assert all(letter.error for letter in letters)
    assert b"garbage{{" in {bytes(letter.body) for letter in letters}
    assert worker.exit_code is None
    wait_for(lambda: not valkey.client.exists("default.dead"), what="the dead-letter queue to be empty")
    # No flood: a line for many messages, not one for each.
    assert worker.log_text().count("went to dead-letter queues") <= 3


@on_postgres
def test_a_job_that_gives_up_leaves_all_that_is_needed_to_run_it_again(worker: Worker, effects: Effects) -> None:
    job = tasks.steer.apply_async(("permanent",), headers={"x-mine": "kept"}, priority=7).job
    assert ended(job) == ["dead"]
    (letter,) = _letters(1)
    assert (letter.job_id, letter.task, letter.queue, letter.reason) == (job.id, job.task, "default", "permanent")
    assert (letter.args, letter.kwargs, letter.attempt) == (["permanent"], {}, 1)
    assert letter.error == "Permanent: no retry can mend it"
    assert letter.headers["x-mine"] == "kept"
    assert {
        name: letter.headers[name]
        for name in ("x-original-queue", "x-original-routing-key", "x-original-exchange", "x-final-attempt", "x-job-id")
    } == {
        "x-original-queue": "default",
        "x-original-routing-key": "default",
        "x-original-exchange": "",
        "x-final-attempt": 1,
        "x-job-id": str(job.id),
    }
    assert letter.headers["x-failed-at"].endswith("+00:00")


def test_a_replayed_job_goes_on_with_its_history_and_only_once(worker: Worker, effects: Effects) -> None:
    job = tasks.flaky.delay("replayed", 99).job
    assert ended(job, seconds=60) == ["dead"]
    (letter,) = _letters(1)
    attempts = Job.objects.get(id=job.id).attempt
    selection = DeadLetterFilter(ids=(letter.pk,))
    assert replay(selection, actor="ann", dry_run=True).matched == 1
    assert replay(selection, actor="ann").changed == 1
    assert replay(DeadLetterFilter(ids=(letter.pk,), open_only=False), actor="ann").changed == 0
    wait_for(lambda: Job.objects.get(id=job.id).attempt > attempts, 20)
    assert Job.objects.get(id=job.id).attempts.count() >= attempts
    letter.refresh_from_db()
    assert letter.replay_job_id == job.id


@on_postgres
def test_a_corrected_letter_becomes_a_job_linked_both_ways(worker: Worker, effects: Effects) -> None:
    job = tasks.steer.delay("permanent").job
    assert ended(job) == ["dead"]
    (letter,) = _letters(1)
    new_id = replay_corrected(letter, ["return"], {}, actor="ann")
    new = Job.objects.get(id=new_id)
    assert ended(new) == ["succeeded"]
    letter.refresh_from_db()
    assert (new.replay_of, letter.replay_job_id) == (job.id, new_id)


@on_postgres
def test_a_message_without_a_job_becomes_one_when_it_is_replayed(
    worker: Worker, valkey: Valkey, effects: Effects
) -> None:
    # Its time is none; its task and arguments are fine.
    valkey.client.lpush("default", _envelope(b'[["from a letter"], {}, {}]', eta="tomorrow"))
    (letter,) = _letters(1)
    assert replay(DeadLetterFilter(), actor="ann").changed == 1
    happened(effects, "from a letter")
    letter.refresh_from_db()
    assert letter.replay_job_id is not None
    assert Job.objects.get(id=letter.replay_job_id).task == "tests.tasks_app.tasks.note"


@on_postgres
def test_a_discarded_letter_is_out_of_the_way_and_its_job_stays_dead(worker: Worker) -> None:
    job = tasks.steer.delay("permanent").job
    assert ended(job) == ["dead"]
    _letters(1)
    assert discard(DeadLetterFilter(), actor="ann").changed == 1
    assert replay(DeadLetterFilter(), actor="ann").matched == 0
    assert Job.objects.get(id=job.id).state == "dead"


@on_postgres
def test_an_expired_job_is_dead_without_having_run(worker: Worker, effects: Effects) -> None:
    job = tasks.note.apply_async(("too late",), expires=0.001, countdown=1).job
    assert ended(job) == ["dead"]
    assert effects.count("too late") == 0
    assert _letters(1)[0].reason == "expired"


@on_postgres
def test_without_a_broker_a_job_does_not_die_before_its_letter_is_safe(
    start_worker: Start, valkey: Valkey, effects: Effects, tmp_path: object
) -> None:
    start_worker(options=QUICK, environment=IMPATIENT)
    gate = f"{tmp_path}/gate"
    job = tasks.gated_then_permanent.delay("about to give up", gate).job
    happened(effects, "about to give up")
    valkey.stop()
    open(gate, "w").close()
    # Longer than its lease and than a process waits.
    always(lambda: Job.objects.get(id=job.id).state == "running", 8)
    valkey.start()
    assert ended(job, seconds=60) == ["dead"]
    assert _letters(1)[0].job_id == job.id
    assert effects.count("about to give up") == 1


@on_postgres
def test_without_room_in_the_broker_an_unreadable_message_waits_for_it_in_its_worker(
    start_worker: Start, valkey: Valkey, effects: Effects
) -> None:
    worker = start_worker(options=QUICK, environment=IMPATIENT)
    valkey.client.config_set("maxmemory-policy", "noeviction")
    with valkey.client.pipeline(transaction=True) as pipeline:
        pipeline.lpush("default", b"garbage{{")
        # From now on it gives messages and takes none.
        pipeline.config_set("maxmemory", 1)
        pipeline.execute()
    try:
        wait_for(lambda: "could not be parked" in worker.log_text(), 20)
        assert not valkey.client.exists("default")
    finally:
        valkey.client.config_set("maxmemory", 0)
    assert bytes(_letters(1)[0].body) == b"garbage{{"
    tasks.note.delay("after it")
    happened(effects, "after it")


@on_postgres
def test_without_a_database_letters_stay_in_the_broker(
    worker: Worker, database: Database, valkey: Valkey, effects: Effects
) -> None:
    wait_for(WorkerEntry.objects.exists, 20)
    connection.close()
    environment.postgres.stop()
    valkey.client.lpush("default.dead", _envelope(PLAIN, **{"x-failure-reason": "permanent"}))
    always(lambda: valkey.client.llen("default.dead") == 1, 4)
    environment.postgres.start()
    assert _letters(1)[0].reason == "permanent"
    wait_for(lambda: valkey.client.llen("default.dead") == 0, 20)


@contextmanager
def read_only(database: Database) -> Iterator[None]:
    """Let nobody write into a database meanwhile."""
    for switch in ("on", "off"):
        environment.postgres.execute(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = {switch}')
        environment.postgres.disconnect_all(database.name)
        connection.close()
        if switch == "on":
            yield


@contextmanager
def full(database: Database) -> Iterator[None]:
    """Let a database say meanwhile, wherever it is written to, what it says when its disk is full."""
    environment.postgres.execute(
        "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;"
        + "".join(
            f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION no_room();"
            for table in ("jobs_job", "jobs_attempt", "jobs_worker", "jobs_deadletter")
        ),
        database.name,
    )
    yield
    environment.postgres.execute("DROP FUNCTION no_room CASCADE", database.name)


@on_postgres
@pytest.mark.parametrize("fault", [read_only, full])
def test_while_the_database_cannot_be_written_the_worker_takes_no_jobs_and_says_so(
    worker: Worker, database: Database, effects: Effects, fault: Callable[[Database], AbstractContextManager[None]]
) -> None:
    wait_for(WorkerEntry.objects.exists, 20)
    tasks.note.delay("before")
    happened(effects, "before")
    wait_for(lambda: Job.objects.filter(state="succeeded").exists())
    job = tasks.note.apply_async(("meanwhile",), countdown=1).job
    with fault(database):
        wait_for(lambda: "takes no jobs" in worker.log_text(), 30)
        always(lambda: effects.count("meanwhile") == 0, 4)
    assert ended(job, seconds=60) == ["succeeded"]
    assert (effects.count("meanwhile"), Job.objects.get(id=job.id).attempt) == (1, 1)
    assert "takes jobs again" in worker.log_text()
