"""Dead letters from the broker into the table: none lost, none twice, whoever dies in between."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from celery import current_app
from django.db import OperationalError
from kombu.entity import Queue

from jobs.core.outcome import Reason
from jobs.deadletters import archiver as archiving, codec
from jobs.deadletters.archiver import Archiver
from jobs.deadletters.codec import DeadLetterMessage
from jobs.enqueue.message import RawMessage
from jobs.enqueue.publisher import Publisher
from jobs.ledger.attempts import Failure
from jobs.ledger.enqueue import NewJob
from jobs.models import DeadLetter
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

APP = current_app._get_current_object()


@pytest.fixture
def archiver(valkey: Valkey) -> Iterator[Archiver]:
    """An archiver on the test's broker."""
    archiver = Archiver(APP)
    yield archiver
    archiver.close()


def _letter() -> DeadLetterMessage:
    job = NewJob(uuid.uuid4(), "some.task", "default", '["a"]', "{}", None, 5, 0)
    return codec.from_job(job, 3, Reason.EXHAUSTED, Failure("Broken", "no"), datetime.now(UTC))


@pytest.fixture
def posted(valkey: Valkey) -> list[DeadLetterMessage]:
    """Letters in the dead-letter queue."""
    publisher, posted = Publisher(APP), [_letter() for _ in range(7)]
    for letter in posted:
        publisher.publish_raw(codec.dead_queue(letter.queue), [letter.message])
    publisher.close()
    return posted


def test_letters_are_stored_and_then_gone(archiver: Archiver, posted: list[DeadLetterMessage], valkey: Valkey) -> None:
    archiver.archive()
    ids = {str(letter.message.headers[codec.LETTER_ID]) for letter in posted}
    assert {str(letter.pk) for letter in DeadLetter.objects.all()} == ids
    assert not valkey.client.exists("default.dead")
    row = DeadLetter.objects.first()
    assert row is not None
    assert (row.task, row.queue, row.reason, row.attempt, row.args) == ("some.task", "default", "exhausted", 3, ["a"])


def test_an_archiver_that_dies_after_storing_leaves_nothing_twice(
    archiver: Archiver, posted: list[DeadLetterMessage], valkey: Valkey
) -> None:
    archiving.store([one.message for one in archiver._channel().peek("default.dead", 4)], "default")
    assert valkey.client.llen("default.dead") == len(posted)
    archiver.archive()
    assert DeadLetter.objects.count() == len(posted)
    assert not valkey.client.exists("default.dead")


def test_two_archivers_at_once_lose_nothing(
    archiver: Archiver, posted: list[DeadLetterMessage], valkey: Valkey
) -> None:
    other = Archiver(APP)
    seen = other._channel().peek("default.dead", 4)
    archiver.archive()
    late = _letter()
    publisher = Publisher(APP)
    publisher.publish_raw("default.dead", [late.message])
    archiving.store([one.message for one in seen], "default")
    other._channel().forget(seen)
    assert valkey.client.llen("default.dead") == 1
    other.archive()
    assert DeadLetter.objects.count() == len(posted) + 1
    for one in (other, publisher):
        one.close()


def test_letters_that_cannot_be_stored_stay(
    archiver: Archiver, posted: list[DeadLetterMessage], valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(DeadLetter.objects, "bulk_create", full)
    with pytest.raises(OperationalError):
        archiver.archive()
    assert valkey.client.llen("default.dead") == len(posted)


ODD_LETTERS: dict[str, tuple[bytes, dict[str, object]]] = {
    "an attempt beyond the column": (b"[]", {codec.FINAL_ATTEMPT: 10**30}),
    "an attempt in words": (b"[]", {codec.FINAL_ATTEMPT: "²"}),
    "an attempt below zero": (b"[]", {codec.FINAL_ATTEMPT: -5}),
    "a body nested deep": (b"[[" + b"[" * 5000 + b"]" * 5000 + b"], {}, {}]", {}),
    "arguments nested deep enough to be read": (b"[[" + b"[" * 700 + b"]" * 700 + b"], {}, {}]", {}),
    "numbers that are none": (b"[[NaN, Infinity], {}, {}]", {"x-nan": float("nan")}),
    "NUL everywhere": (b'[["\\u0000"], {"\\u0000": 1}, {}]', {"task": "a\x00", "x-\x00": "\x00"}),
    "half a sign": (b'[["\\ud800"], {}, {}]', {"task": "\ud800", codec.EXCEPTION: "\ud800"}),
    "long names": (b"[]", {codec.ORIGINAL_QUEUE: "q" * 999, codec.REASON: "r" * 999, "x-correlation-id": "c" * 99}),
    "other kinds": (b"[]", {"task": ["x"], codec.ORIGINAL_QUEUE: 5, codec.FAILED_AT: {}, codec.JOB_ID: 7}),
    "the end of time": (b"[]", {codec.FAILED_AT: "9999-12-31T23:59:59-12:00"}),
    "no text": (b"\xff\x00\xfe", {}),
}


def test_no_letter_keeps_another_from_being_archived(archiver: Archiver, valkey: Valkey) -> None:
    publisher = Publisher(APP)
    for body, headers in ODD_LETTERS.values():
        publisher.publish_raw("default.dead", [RawMessage(body, "application/json", "utf-8", headers, {})])
    publisher.publish_raw("default.dead", [_letter().message])
    # And what is no message at all.
    valkey.client.lpush("default.dead", b"garbage{{", b"[" * 5000 + b"]" * 5000, b'{"properties": 5}')
    publisher.close()
    archiver.archive()
    assert not valkey.client.exists("default.dead")
    assert DeadLetter.objects.count() == len(ODD_LETTERS) + 4
    assert DeadLetter.objects.filter(task="some.task", reason="exhausted").exists()


def test_a_dead_letter_queue_that_is_none_keeps_no_other_from_being_archived(
    archiver: Archiver, posted: list[DeadLetterMessage], valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(APP.amqp.queues, "odd", Queue("odd"))
    valkey.client.set("odd.dead", "a key that is no list")
    archiver.archive()
    assert DeadLetter.objects.count() == len(posted)
