"""Tasks that get many of their waiting jobs in one call, each of which keeps its own state, error and retries."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from jobs import Batch, Cancel, Permanent, Snooze, job
from jobs.core.states import State
from jobs.errors import InvalidOption
from jobs.ledger.put_back import put_back
from jobs.models import Job, Tally
from jobs.operations import actions
from jobs.tasks.redaction import tasks_taking
from tests.jobs.delivery import InThisProcess, deliver
from tests.jobs.rows import LEASE

pytestmark = pytest.mark.django_db


class Word(NamedTuple):
    """What each job is about."""

    text: str


class Broken(Exception):
    """What failing jobs raise."""


#: What the task was called with, and what it does with it.
calls: list[list[str]] = []
acts: list[Callable[[Batch[Word]], None]] = []


@job(name="tests.gather", batch=3, max_retries=1)
def gather(batch: Batch[Word]) -> None:
    """Note the words of a call, then do as the test says."""
    calls.append([item.value.text for item in batch])
    for act in acts:
        act(batch)


@job(name="tests.gather_elsewhere", batch=3)
def gather_elsewhere(batch: Batch[Word]) -> None:
    """Be another task on the same queue."""
    calls.append([item.value.text for item in batch])


@pytest.fixture(autouse=True)
def fresh(valkey: object) -> Iterator[None]:
    """Nothing was called. A job that gives up needs the broker."""
    calls.clear()
    acts.clear()
    yield
    acts.clear()


def enqueued(*words: str, **options: Any) -> list[Job]:
    return [gather.apply_async((word,), **options).job for word in words]


def states(jobs: list[Job]) -> list[str]:
    return [Job.objects.get(pk=one.pk).state for one in jobs]


def failing(text: str, error: Exception) -> Callable[[Batch[Word]], None]:
    def act(batch: Batch[Word]) -> None:
        for item in batch:
            if item.value.text == text:
                item.fail(error)

    return act


def test_a_message_brings_the_jobs_that_wait_with_it_up_to_the_limit() -> None:
    jobs = enqueued("a", "b", "c", "d")
    deliver(jobs[0])
    assert calls == [["a", "b", "c"]]
    assert states(jobs) == [*[State.SUCCEEDED] * 3, State.QUEUED]
    assert {one.attempt for one in Job.objects.filter(state=State.SUCCEEDED)} == {1}


def test_a_message_whose_job_an_earlier_batch_had_brings_the_next_batch() -> None:
    jobs = enqueued("a", "b", "c", "d", "e")
    deliver(jobs[0])
    deliver(jobs[1])
    assert calls == [["a", "b", "c"], ["d", "e"]]
    assert states(jobs) == [State.SUCCEEDED] * 5
    for late in jobs:
        deliver(late)
    assert len(calls) == 2


def test_messages_that_come_together_bring_one_batch_and_each_of_its_jobs_runs_once() -> None:
    jobs = enqueued("a", "b", "c")
    InThisProcess().deliver(*[one.pk for one in jobs])
    assert calls == [["a", "b", "c"]]
    assert states(jobs) == [State.SUCCEEDED] * 3


def test_a_job_enqueued_later_is_run_by_its_own_message_though_others_found_nobody() -> None:
    jobs = enqueued("a", "b")
    deliver(jobs[0])
    deliver(jobs[1])
    [later] = enqueued("c")
    deliver(later)
    assert calls == [["a", "b"], ["c"]]


def test_only_jobs_of_this_task_on_this_queue_that_are_due_come_along() -> None:
    [first, scheduled] = enqueued("first"), enqueued("scheduled", countdown=60)
    other = gather_elsewhere.delay("other task").job
    deliver(first[0])
    assert calls == [["first"]]
    assert states([scheduled[0], other]) == [State.SCHEDULED, State.QUEUED]


def test_a_paused_queue_gives_no_batch() -> None:
    jobs = enqueued("a", "b")
    actions.pause_queue("default", actor="test")
    deliver(jobs[0])
    assert calls == []
    assert states(jobs) == [State.QUEUED] * 2


def test_the_most_urgent_come_first() -> None:
    [first, *_] = enqueued("first", "low", "lower", priority=1)
    enqueued("high", "higher", priority=9)
    deliver(first)
    assert calls == [["first", "high", "higher"]]


def test_one_that_fails_is_tried_again_and_the_others_have_succeeded() -> None:
    acts.append(failing("b", Broken("no b")))
    jobs = enqueued("a", "b", "c")
    deliver(jobs[0])
    assert states(jobs) == [State.SUCCEEDED, State.RETRYING, State.SUCCEEDED]
    assert jobs[1].attempts.get().error == "no b"
    assert Job.objects.get(pk=jobs[1].pk).last_error == "Broken: no b"


def test_the_one_delivered_may_be_the_one_that_fails() -> None:
    acts.append(failing("a", Permanent("no a")))
    jobs = enqueued("a", "b")
    deliver(jobs[0])
    assert states(jobs) == [State.DEAD, State.SUCCEEDED]


@pytest.mark.parametrize(
    "error, state",
    [
        (Permanent("never"), State.DEAD),
        (Snooze(60), State.SCHEDULED),
        (Cancel("not wanted"), State.CANCELLED),
    ],
)
def test_each_ends_as_if_it_had_raised_its_error(error: Exception, state: State) -> None:
    acts.append(failing("b", error))
    jobs = enqueued("a", "b")
    deliver(jobs[0])
    assert states(jobs) == [State.SUCCEEDED, state]


def test_an_error_of_the_call_is_every_jobs_error_and_counts_for_each() -> None:
    def act(batch: Batch[Word]) -> None:
        raise Broken("all of you")

    acts.append(act)
    jobs = enqueued("a", "b")
    Job.objects.filter(pk=jobs[1].pk).update(attempt=1)
    deliver(jobs[0])
    assert states(jobs) == [State.RETRYING, State.DEAD]
    assert [one.attempts.get().error_type for one in jobs] == ["Broken", "Broken"]


def test_one_whose_arguments_do_not_fit_or_whose_time_has_passed_does_not_run_alone() -> None:
    jobs = enqueued("a", "b", "c")
    Job.objects.filter(pk=jobs[1].pk).update(args=["b", "too many"])
    Job.objects.filter(pk=jobs[2].pk).update(expires_at=jobs[2].created_at)
    deliver(jobs[0])
    assert calls == [["a"]]
    assert states(jobs) == [State.SUCCEEDED, State.QUEUED, State.DEAD]
    jobs[1].refresh_from_db()
    assert jobs[1].held_by == "invalid"
    assert "TypeError" not in jobs[1].last_error


class Number:
    """A type that takes numbers only."""

    def __init__(self, pk: Any) -> None:
        self.pk = int(pk)


class Address(BaseModel):
    """A type that validates what it is given."""

    number: int


@job(name="tests.numbers", batch=3, max_retries=1)
def numbers(batch: Batch[Number]) -> None:
    """Note the numbers of a call."""
    calls.append([str(item.value.pk) for item in batch])


@job(name="tests.addresses", batch=3, max_retries=1)
def addresses(batch: Batch[Address]) -> None:
    """Note the numbers of a call."""
    calls.append([str(item.value.number) for item in batch])


@pytest.mark.parametrize(
    "task, error", [(numbers, "ValueError: invalid literal"), (addresses, "ValidationError: 1 validation error")]
)
def test_one_that_its_type_refuses_fails_alone_with_that_error(task: Any, error: str) -> None:
    name = "pk" if task is numbers else "number"
    jobs = [result.job for result in task.delay_many([{name: 1}, {name: "no number"}, {name: 3}])]
    deliver(jobs[0])
    assert calls == [["1", "3"]]
    assert states(jobs) == [State.SUCCEEDED, State.RETRYING, State.SUCCEEDED]
    assert Job.objects.get(pk=jobs[1].pk).last_error.startswith(error)


def test_one_whose_lease_was_lost_meanwhile_keeps_its_new_holder() -> None:
    jobs = enqueued("a", "b")

    def act(batch: Batch[Word]) -> None:
        Job.objects.filter(pk=jobs[1].pk).update(lease_id=LEASE)

    acts.append(act)
    deliver(jobs[0])
    assert states(jobs) == [State.SUCCEEDED, State.RUNNING]
    assert jobs[1].attempts.get().outcome == "refused"


def test_a_batch_that_begins_too_late_is_left_alone_and_can_be_put_back() -> None:
    jobs = enqueued("a", "b", "c")
    worker = InThisProcess()
    taken = worker.claim(jobs[0].pk)
    assert worker.run(*taken, begins_in=-1) == []
    assert calls == []
    put_back([one.job.lease_id for one in taken])
    assert states(jobs) == [State.QUEUED] * 3
    assert {(one.attempt, one.attempts.count()) for one in Job.objects.all()} == {(0, 0)}


def test_a_task_that_does_not_say_the_type_of_its_jobs_is_refused() -> None:
    @job(name="tests.unsaid", batch=2)
    def unsaid(batch: object) -> None: ...

    with pytest.raises(InvalidOption, match="annotated Batch"):
        unsaid.delay("a")
    assert not Job.objects.exists()
    # Nobody who looks for jobs by an argument stumbles over it.
    assert "tests.unsaid" not in {name for names in tasks_taking("batch").values() for name in names}


def test_every_job_of_a_batch_that_is_put_off_is_counted() -> None:
    jobs = enqueued("a", "b", "c")
    acts.append(failing("b", Snooze(60)))
    acts.append(failing("c", Snooze(60)))
    deliver(jobs[0])
    assert states(jobs) == ["succeeded", "scheduled", "scheduled"]
    assert Tally.objects.get(metric="snoozes", task=gather.name, queue="default").count == 2
