"""No message stops a worker, on any broker: each ends as a job or as a dead letter, and other queues go on."""

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from celery import current_app
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from kombu.messaging import Producer

from jobs.core.states import FINAL, State
from jobs.enqueue.dispatcher import dispatching_by
from jobs.enqueue.message import CHUNK_SIZE, LEDGER_HEADER, chunk_message
from jobs.models import DeadLetter, Job
from jobs.operations.actions import cancel_jobs
from jobs.operations.filters import JobFilter
from tests.acceptance.worker import SharedWorker, Worker
from tests.brokers.system import System
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.timeout(240)

NOTE, PLAIN = tasks.note.name, tasks.plain.name

#: Messages on their way: headers beside task and id, and a body.
Odd = tuple[dict[str, Any], Any]

CALL = [["odd"], {}, {}]
DEEP = "[" * 5000 + "]" * 5000

#: Each of these once stopped a worker or the archiver, or was lost.
KNOWN: dict[str, Odd] = {
    "an unknown task with odd retries": ({"task": "no.such.task", "retries": "²"}, CALL),
    "an unknown task with huge retries": ({"task": "no.such.task", "retries": 2**62}, CALL),
    "odd retries": ({"retries": "²"}, CALL),
    "huge retries": ({"retries": 2**62}, CALL),
    "time limits in words": ({"timelimit": ["a", "b"]}, CALL),
    "a plain task's time limits in words": ({"task": PLAIN, "timelimit": ["a", "b"]}, CALL),
    "a time limit below zero": ({"timelimit": [-5, -5]}, CALL),
    "a body nested deep": ({}, f"[[{DEEP}], {{}}, {{}}]"),
    "a plain task's body nested deep": ({"task": PLAIN}, f"[[{DEEP}], {{}}, {{}}]"),
    "a body that is no triple": ({}, [1, 2]),
    "a plain task's body that is no triple": ({"task": PLAIN}, "5"),
    "something else embedded": ({}, [["odd"], {}, 7]),
    "a plain task with something else embedded": ({"task": PLAIN}, [["odd"], {}, 7]),
    "an id that is none": ({"id": 17}, CALL),
    "a task that is none": ({"task": 17}, CALL),
    "the end of time": ({"eta": "9999-12-31T23:59:59-12:00"}, CALL),
    "NUL in the arguments": ({}, '[["\\u0000"], {}, {}]'),
    "NUL in what follows": ({}, [["odd"], {}, {"chain": [{"task": "a\x00"}]}]),
    "a number that is none": ({}, "[[NaN], {}, {}]"),
    "a number of four thousand digits": ({"task": "no.such.task"}, f"[[{10**4000}], {{}}, {{}}]"),
}

#: Foreign headers that are named like the engine's own entries: they say nothing.
NAMED_LIKE_OURS = [
    *("claimed", "left", "claim_in_doubt", "writes_successes", "lease_id", "foreign_eta", "foreign_expires"),
    *("parent_pid", "job_id", "job_attempt", "called_directly", "is_eager", "jobs:claimed", "jobs:left"),
]


def as_bytes(body: Any) -> bytes:
    """Return a body as it is sent: what is neither bytes nor text as JSON."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


class Post:
    """Puts messages into a queue, as a producer of another make does."""

    def __init__(self) -> None:
        self._connection: Any = current_app.connection_for_write()
        self._producer = Producer(self._connection.default_channel, auto_declare=False)
        current_app.amqp.queues["default"](self._connection.default_channel).declare()
        self.sent = 0

    def send(self, headers: dict[str, Any], body: Any, **properties: Any) -> bool:
        """Send a message. Returns whether this broker can carry it."""
        try:
            self._producer.publish(
                as_bytes(body),
                routing_key="default",
                exchange="",
                content_type=properties.pop("content_type", "application/json"),
                content_encoding=properties.pop("content_encoding", "utf-8"),
                headers={"lang": "py", "task": NOTE, "id": str(uuid.uuid4()), **headers},
                retry=False,
                **properties,
            )
        except Exception:  # noqa: BLE001 (what cannot be sent does no harm)
            self.close()
            self.__dict__.update({**Post().__dict__, "sent": self.sent})
            return False
        self.sent += 1
        return True

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def post(shared: System) -> Iterator[Post]:
    """A producer, on an empty ledger."""
    Job.objects.all().delete()
    DeadLetter.objects.all().delete()
    post = Post()
    yield post
    post.close()


@pytest.fixture
def worker(shared: System, shared_house: tuple[System, SharedWorker]) -> Worker:
    """The worker of the shared system."""
    return shared_house[1].worker


def kept() -> int:
    """How many messages have become a job, or a dead letter."""
    return Job.objects.count() + DeadLetter.objects.filter(job=None).count()


def assert_all_is_kept(post: Post, worker: Worker) -> None:
    """Assert that each message sent has come to something, and that the worker works on."""
    expected = post.sent
    wait_for(lambda: kept() >= expected, 60, what=f"{expected} messages to come to something")
    after = tasks.elsewhere.delay(f"after {uuid.uuid4()}").job
    wait_for(lambda: Job.objects.get(pk=after.pk).state == State.SUCCEEDED, 30)
    assert kept() == expected + 1
    wait_for(lambda: not Job.objects.exclude(state__in=[*FINAL, State.SCHEDULED, State.RETRYING]).exists(), 30)
    # A letter that came when its job is deleted would count as one without.
    wait_for(lambda: not Job.objects.filter(state=State.DEAD, dead_letters=None).exists(), 30)
    assert worker.exit_code is None


def test_a_body_in_an_odd_encoding_is_kept(post: Post, worker: Worker) -> None:
    for encoding in ("binary", "no-such-encoding", "hex", "", "ascii"):
        for body in ("", "{", '"\u00fc"'):
            for headers in ({}, {"task": "no.such.task"}, {"task": None}):
                assert post.send(headers, body, content_encoding=encoding)
    assert_all_is_kept(post, worker)
    assert DeadLetter.objects.filter(job=None).count() == post.sent


def test_what_stopped_a_worker_once_is_kept(post: Post, worker: Worker) -> None:
    refused = [name for name, (headers, body) in KNOWN.items() if not post.send(headers, body)]
    assert refused == []
    assert_all_is_kept(post, worker)
    assert DeadLetter.objects.filter(job=None).count() == post.sent


@pytest.mark.parametrize("value", [1, [1, 2, 3], "2000-01-01T00:00:00"], ids=repr)
def test_a_header_named_like_the_engines_own_says_nothing(
    post: Post, worker: Worker, shared: System, value: object
) -> None:
    effect = f"foreign {uuid.uuid4()}"
    for name in NAMED_LIKE_OURS:
        assert post.send({name: value}, [[f"{effect} {name}"], {}, {}])
        assert post.send({}, [[f"{effect} embedded {name}"], {}, {name: value}])
    assert_all_is_kept(post, worker)
    for name in NAMED_LIKE_OURS:
        assert shared.effects.count(f"{effect} {name}") == 1
        assert shared.effects.count(f"{effect} embedded {name}") == 1


@pytest.mark.parametrize("value", [1, [1, 2, 3]], ids=repr)
def test_a_callers_header_named_like_the_engines_own_says_nothing(
    post: Post, worker: Worker, shared: System, value: object
) -> None:
    effect = f"own {uuid.uuid4()}"
    for name in NAMED_LIKE_OURS:
        tasks.note.apply_async([f"{effect} {name}"], headers={name: value})
        post.sent += 1
    assert_all_is_kept(post, worker)
    assert {shared.effects.count(f"{effect} {name}") for name in NAMED_LIKE_OURS} == {1}


def written(*calls: tuple[Any, str]) -> list[Job]:
    """Enqueue a job for each of these tasks with this effect, and send none of their messages."""
    with dispatching_by(lambda _: None):
        return [task.delay(effect).job for task, effect in calls]


def chunk_of(ids: Sequence[object]) -> tuple[dict[str, Any], Any]:
    """Return the headers and the body of a chunk that names these jobs."""
    message = chunk_message("default", 5, [])
    _, kwargs, embed = json.loads(message.body)
    return message.headers, [[list(ids)], kwargs, embed]


def assert_the_worker_goes_on(worker: Worker) -> None:
    after = tasks.note.delay(f"after {uuid.uuid4()}").job
    wait_for(lambda: Job.objects.get(pk=after.pk).state == State.SUCCEEDED, 30, what="the next job to succeed")
    assert worker.exit_code is None


def test_a_chunk_may_name_jobs_of_several_queues_some_twice_and_some_that_have_ended(
    post: Post, worker: Worker, shared: System
) -> None:
    effect = f"chunk {uuid.uuid4()}"
    # With `ledger://` a row is its own message, and begins as soon as it is committed.
    with dispatching_by(lambda _: None), transaction.atomic():
        jobs = written((tasks.note, f"{effect} 0"), (tasks.elsewhere, f"{effect} 1"), (tasks.note, f"{effect} 2"))
        assert cancel_jobs(JobFilter(ids=(jobs[2].pk,)), actor="ann").changed == 1
    ids = [str(job.pk) for job in jobs]
    assert post.send(*chunk_of([*ids, *reversed(ids)]))
    wait_for(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == 2, 30, what="both to succeed")
    assert_the_worker_goes_on(worker)
    assert [shared.effects.count(f"{effect} {number}") for number in range(3)] == [1, 1, 0]
    assert DeadLetter.objects.count() == 0


def test_a_chunk_that_names_what_is_no_job_is_kept_and_its_jobs_run(post: Post, worker: Worker, shared: System) -> None:
    effect = f"chunk {uuid.uuid4()}"
    jobs = written((tasks.note, f"{effect} 0"), (tasks.elsewhere, f"{effect} 1"))
    assert post.send(*chunk_of([str(jobs[0].pk), "a word", 5, None, {}, str(jobs[1].pk)]))
    wait_for(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == 2, 30, what="both to succeed")
    letter = wait_for(DeadLetter.objects.first, 30)
    assert letter is not None
    assert "no job's id: 'a word', 5, None, {};" in letter.error
    assert_the_worker_goes_on(worker)
    assert [shared.effects.count(f"{effect} {number}") for number in range(2)] == [1, 1]


@pytest.mark.parametrize("left", [0, 1])
def test_a_chunk_of_a_hundred_jobs_that_were_pruned_is_dropped_and_what_is_left_of_it_runs(
    post: Post, worker: Worker, shared: System, left: int
) -> None:
    effect = f"chunk {uuid.uuid4()}"
    jobs = written(*[(tasks.note, effect)] * left)
    assert post.send(
        *chunk_of([*(str(uuid.uuid4()) for _ in range(CHUNK_SIZE - left)), *(str(job.pk) for job in jobs)])
    )
    wait_for(lambda: Job.objects.filter(state=State.SUCCEEDED).count() == left, 30, what="what is left to succeed")
    assert_the_worker_goes_on(worker)
    assert shared.effects.count(effect) == left
    assert (Job.objects.count(), DeadLetter.objects.count()) == (left + 1, 0)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
celerys_headers = st.sampled_from(
    [
        *("retries", "timelimit", "eta", "expires", "group", "group_index", "root_id", "parent_id", "stamps", "shadow"),
        *("stamped_headers", "replaced_task_nesting", "ignore_result", "argsrepr", "origin", "x-correlation-id"),
        *(
            "compression",
            "traceparent",
            LEDGER_HEADER,
            "x-dead-letter-id",
            "x-job-id",
            "x-final-attempt",
            "redelivered",
        ),
    ]
)
names = celerys_headers | st.sampled_from(NAMED_LIKE_OURS) | st.text(max_size=9)
headers = st.dictionaries(names, plain_values, max_size=4)
keywords = st.dictionaries(st.text(max_size=4), plain_values, max_size=2)
bodies = (
    st.just(CALL)
    | st.tuples(st.lists(plain_values, max_size=2), keywords, plain_values)
    | plain_values
    | st.text(max_size=30)
    | st.binary(max_size=30)
)
properties = st.fixed_dictionaries(
    {}, optional={"priority": st.integers(0, 9), "correlation_id": st.text(max_size=9), "reply_to": st.text(max_size=9)}
)
known_or_not = st.sampled_from([NOTE, NOTE, NOTE, PLAIN, "no.such.task"])
content_types = st.sampled_from(["application/json", "application/json", "text/plain", "a/b"])
odd_messages = st.lists(st.tuples(headers, bodies, properties, known_or_not, content_types), min_size=40, max_size=40)


@settings(
    max_examples=4,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(odd=odd_messages)
def test_any_message_is_kept(post: Post, worker: Worker, odd: list[tuple[Any, Any, Any, str, str]]) -> None:
    Job.objects.all().delete()
    DeadLetter.objects.all().delete()
    post.sent = 0
    for headers, body, properties, task, content_type in odd:
        if headers.get(LEDGER_HEADER) == 1:
            # The ledger's own mark: a job that it does not know was pruned, and its message is dropped.
            continue
        if task == PLAIN:
            # A plain task that can be read runs, and leaves no trace in the ledger.
            headers["timelimit"] = "none"
        post.send({**headers, "task": task}, body, content_type=content_type, **properties)
    assert_all_is_kept(post, worker)
