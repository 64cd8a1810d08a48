"""Celery's signals of publishing are sent where a job is written; what receivers put into its headers goes with it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import chord
from celery.canvas import StampingVisitor
from celery.signals import after_task_publish, before_task_publish
from celery.utils.dispatch import Signal

from jobs import job
from jobs.models import Job
from tests.jobs.delivery import deliver
from tests.jobs.reserving import Reserving
from tests.servers import Valkey
from tests.tasks_app.canvas import listed, number, told
from tests.tasks_app.tasks import note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@pytest.fixture(autouse=True)
def broker(valkey: Valkey) -> None:
    """Messages go there."""


@contextmanager
def receiving(signal: Signal, receive: Callable[..., Any]) -> Iterator[None]:
    signal.connect(receive)
    try:
        yield
    finally:
        signal.disconnect(receive)


@job(name="tests.publish_signals.shows", bind=True, ignore_result=False)
def shows(self: Any) -> dict[str, Any]:
    return {"request": self.request.get("x_request"), "stamps": self.request.stamps}


def test_what_a_receiver_puts_into_the_headers_is_there_when_the_job_runs() -> None:
    def receive(headers: dict[str, Any], **_: Any) -> None:
        headers["x_request"] = "r-17"
        headers["stamps"]["tenant"] = "a"
        headers["stamped_headers"] = ["tenant"]

    with receiving(before_task_publish, receive):
        done = shows.delay().job
    deliver(done)
    done.refresh_from_db()
    assert done.result == {"request": "r-17", "stamps": {"tenant": "a"}}


def test_a_receiver_adds_to_the_headers_that_the_caller_gives() -> None:
    def receive(headers: dict[str, Any], **_: Any) -> None:
        headers["more"] = headers["given"] + 1

    with receiving(before_task_publish, receive):
        written = note.apply_async(["a"], headers={"given": 1}).job
    assert written.options == {"headers": {"given": 1, "more": 2}}


def test_a_receiver_changes_nothing_that_says_whose_message_it_is() -> None:
    def receive(headers: dict[str, Any], properties: dict[str, Any], **_: Any) -> None:
        headers |= {"id": "another", "task": "another", "x-ledger": 7, "x-correlation-id": "another", "odd": {1, 2}}
        properties["correlation_id"] = "another"

    with receiving(before_task_publish, receive):
        written = note.delay("a").job
    assert (written.task, written.correlation_id) == (note.name, "")
    assert written.options is not None
    assert written.options["headers"].keys() == {"odd"}


def test_a_receiver_that_fails_fails_no_call() -> None:
    def receive(**_: Any) -> None:
        raise RuntimeError("no use")

    with receiving(before_task_publish, receive), receiving(after_task_publish, receive):
        assert note.delay("a").job.options is None


CALLS: dict[str, tuple[Callable[[], Any], list[tuple[str, list[Any]]]]] = {
    "one": (lambda: note.delay("a"), [(note.name, ["a"])]),
    "later": (lambda: note.apply_async(["a"], countdown=60), [(note.name, ["a"])]),
    "many": (lambda: note.delay_many([["a"], ["b"]]), [(note.name, ["a"]), (note.name, ["b"])]),
    "a chord": (
        lambda: chord([number.s(1), number.s(2)])(listed.s()),
        [(number.name, [1]), (number.name, [2])],
    ),
}


@pytest.mark.parametrize("call, expected", CALLS.values(), ids=list(CALLS))
def test_one_signal_is_sent_before_a_row_is_there_and_one_after(
    call: Callable[[], Any], expected: list[tuple[str, list[Any]]]
) -> None:
    told: dict[bool, list[tuple[str, list[Any]]]] = {False: [], True: []}

    def receive(sender: str, body: Any, headers: dict[str, Any], routing_key: str, **_: Any) -> None:
        assert routing_key == "default"
        told[Job.objects.filter(pk=headers["id"]).exists()].append((sender, body[0]))

    with receiving(before_task_publish, receive):
        call()
    assert told == {False: expected, True: []}
    Job.objects.all().delete()
    told[False].clear()
    with receiving(after_task_publish, receive):
        call()
    assert told == {False: [], True: expected}


def test_a_call_that_relies_on_another_job_is_told_of_twice_too() -> None:
    told: list[str] = []

    def receive(headers: dict[str, Any], **_: Any) -> None:
        told.append(headers["id"])

    with receiving(before_task_publish, receive), receiving(after_task_publish, receive):
        for _ in range(2):
            note.apply_async(["a"], unique="k")
    assert [told.count(job_id) for job_id in told] == [2, 2, 2, 2]


class Stamping(StampingVisitor):
    """Stamps all that it comes to."""

    def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
        return {"tenant": "a"}


def test_who_hears_that_a_job_was_received_sees_its_stamps_and_error_links() -> None:
    stamped = shows.si()
    stamped.link_error(told.s())
    stamped.stamp(Stamping())
    received = Reserving().reserve(stamped.apply_async().job)
    assert (received.stamped_headers, received.stamps) == (["tenant"], {"tenant": "a"})
    assert [link["task"] for link in received.errbacks or ()] == [told.name]
    plain = Reserving().reserve(note.delay("a").job)
    assert (plain.stamped_headers, plain.stamps, plain.errbacks) == (None, {}, None)
