"""`AsyncResult` tells what the ledger knows of a job, and what its task returned where that is kept."""

import threading
import uuid
from typing import Any

import pytest
from celery import chord, current_app, group, states
from celery.exceptions import TaskRevokedError, TimeoutError as CeleryTimeout
from celery.result import AsyncResult
from django.db import connection
from django.test import Client

from jobs import InvalidOption, Permanent, job
from jobs.core.states import State
from jobs.errors import UnknownJob
from jobs.ledger.operate import cancel
from jobs.models import Job, JobGroup
from jobs.operations.actions import retry_jobs
from jobs.operations.filters import JobFilter
from jobs.operations.job_json import shown_result
from tests.jobs.delivery import deliver
from tests.servers import Valkey
from tests.tasks_app.tasks import gathered, noop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def broker(valkey: Valkey) -> None:
    """Letters of dead jobs go there."""


@job(name="tests.results.give", ignore_result=False)
def give(value: Any) -> Any:
    return {"object": object(), "large": "x" * 3_000_000}.get(value, value) if isinstance(value, str) else value


@job(name="tests.results.forgetful")
def forgetful() -> int:
    return 7


@job(name="tests.results.fails", max_retries=1)
def fails(kind: str) -> None:
    raise {
        "permanent": Permanent("no use"),
        "again": LookupError("not yet"),
        "several": Permanent("no use", 42, {"of": "it"}),
        "tuple": Permanent("(no tuple"),
        "one": Permanent("('a',)"),
    }[kind]


@job(name="tests.results.hides", ignore_result=False, redact=("secret",))
def hides(secret: str) -> str:
    return secret


@job(name="tests.results.parent", ignore_result=False)
def parent() -> str:
    return str(noop.delay().id)


@job(name="tests.results.calls", ignore_result=False)
def calls() -> AsyncResult:
    return group(noop.s(), noop.s()).apply_async()


def asked(result: Any) -> AsyncResult:
    return AsyncResult(str(result.id))


@pytest.mark.parametrize("value", [42, "text", [1, {"a": None}], None, False])
def test_a_kept_value_is_what_get_returns(value: Any) -> None:
    result = give.delay(value)
    assert (result.state, result.ready(), result.result) == (states.PENDING, False, None)
    deliver(result.job)
    assert asked(result).get(timeout=5) == value
    assert (asked(result).state, asked(result).status) == (states.SUCCESS, states.SUCCESS)
    assert asked(result).ready()
    assert asked(result).successful()
    assert not asked(result).failed()
    assert (asked(result).result, asked(result).traceback) == (value, None)
    assert asked(result).date_done == result.job.finished_at


def test_of_a_result_that_a_task_returned_what_names_it_is_kept_and_what_follows_gets_the_same() -> None:
    result = (calls.s() | give.s()).apply_async()
    for _ in range(2):
        deliver(Job.objects.get(task__startswith="tests.results", state=State.QUEUED))
    named = AsyncResult(result.id).get(timeout=5)
    members = sorted(str(one.pk) for one in Job.objects.filter(task=noop.name))
    assert sorted(child for (child, _), _ in named[1]) == members
    assert AsyncResult(result.parent.id).get(timeout=5) == named


def test_a_value_is_not_kept_unless_asked_for() -> None:
    result = forgetful.delay()
    deliver(result.job)
    assert (result.state, result.get(timeout=5), result.job.result) == (states.SUCCESS, None, None)


def test_a_call_says_itself_whether_its_value_is_kept() -> None:
    wanted, unwanted = forgetful.apply_async(ignore_result=False), give.apply_async((7,), ignore_result=True)
    many = forgetful.delay_many([()], ignore_result=False)
    for result in (wanted, unwanted, *many):
        deliver(result.job)
    assert [asked(result).get(timeout=5) for result in (wanted, unwanted, *many)] == [7, None, 7]


def test_a_chord_gets_what_a_call_says_is_not_kept() -> None:
    done = chord([give.s(1).set(ignore_result=True), give.s(2)])(give.s())
    for one in Job.objects.all():
        deliver(one)
    deliver(Job.objects.get(pk=done.id))
    assert asked(done).get(timeout=5) == [1, 2]


def test_a_call_of_a_batch_cannot_ask_for_its_value() -> None:
    with pytest.raises(InvalidOption, match="the task takes batches, and one call has no result for each job"):
        gathered.apply_async(("a",), ignore_result=False)


def test_an_error_is_raised_by_get_with_its_class_and_words() -> None:
    result = fails.delay("permanent")
    deliver(result.job)
    assert asked(result).failed()
    with pytest.raises(Permanent, match="no use"):
        asked(result).get(timeout=5)
    assert isinstance(asked(result).get(timeout=5, propagate=False), Permanent)
    assert "no use" in str(asked(result).traceback)


@pytest.mark.parametrize(
    "kind,args", [("several", ("no use", 42, {"of": "it"})), ("tuple", ("(no tuple",)), ("one", ("('a',)",))]
)
def test_an_error_is_raised_with_what_it_was_made_of(kind: str, args: tuple[Any, ...]) -> None:
    result = fails.delay(kind)
    deliver(result.job)
    with pytest.raises(Permanent) as raised:
        asked(result).get(timeout=5)
    assert raised.value.args == args


def test_a_job_that_waits_for_its_next_attempt_shows_the_error_of_the_last() -> None:
    result = fails.delay("again")
    deliver(result.job)
    assert asked(result).state == states.RETRY
    assert isinstance(asked(result).result, LookupError)
    assert not asked(result).ready()


def test_a_cancelled_job_is_revoked() -> None:
    result = noop.apply_async(countdown=60)
    cancel([result.job.pk], "not wanted")
    assert asked(result).state == states.REVOKED
    with pytest.raises(TaskRevokedError):
        asked(result).get(timeout=5)


def test_revoke_cancels_a_job_that_waits() -> None:
    result = noop.apply_async(countdown=60)
    asked(result).revoke()
    assert asked(result).state == states.REVOKED


def test_get_waits_for_the_end() -> None:
    result = give.delay("slow")

    def work() -> None:
        try:
            deliver(Job.objects.get(pk=result.id))
        finally:
            connection.close()

    timer = threading.Timer(0.2, work)
    timer.start()
    try:
        assert asked(result).get(timeout=20) == "slow"
    finally:
        timer.join()


def test_get_says_when_its_time_is_over() -> None:
    with pytest.raises(CeleryTimeout, match=r"has not ended in 0\.05 s; it is queued"):
        give.delay(1).get(timeout=0.05)


@pytest.mark.parametrize("task_id", ["nobody", str(uuid.UUID(int=7))])
def test_an_id_that_nobody_has_is_an_error_of_get_and_no_endless_wait(task_id: str) -> None:
    assert AsyncResult(task_id).state == states.PENDING
    with pytest.raises(UnknownJob, match="is the id of no job"):
        AsyncResult(task_id).get(timeout=0.1)


@pytest.mark.parametrize("timeout", [float("nan"), True, "1"])
def test_what_is_no_time_is_no_timeout(timeout: Any) -> None:
    result = give.delay(1)
    for wait in (result.get, current_app.GroupResult(str(uuid.uuid4()), [result]).get):
        with pytest.raises(ValueError, match=r"timeout=.* is not valid: it must be seconds, or None"):
            wait(timeout=timeout)
    with pytest.raises(CeleryTimeout):
        result.get(timeout=-1)


def test_what_is_no_id_is_refused_and_a_uuid_is_one() -> None:
    result = give.delay(1)
    assert AsyncResult(uuid.UUID(result.id)).state == states.PENDING
    with pytest.raises(TypeError, match="5 is no id of a job or a group"):
        assert AsyncResult(5).state
    with pytest.raises(TypeError, match="None is no id of a job or a group"):
        current_app.GroupResult.restore(None)


def test_a_group_that_was_never_saved_can_be_deleted() -> None:
    current_app.GroupResult(str(uuid.uuid4()), []).delete()
    assert not JobGroup.objects.exists()


def test_children_are_the_jobs_that_it_has_enqueued() -> None:
    result = parent.delay()
    deliver(result.job)
    assert [child.id for child in asked(result).children] == [asked(result).get(timeout=5)]


def test_a_forgotten_value_is_gone_and_the_state_is_not() -> None:
    result = give.delay(1)
    deliver(result.job)
    asked(result).forget()
    assert (asked(result).result, asked(result).state) == (None, states.SUCCESS)


def test_a_job_that_runs_again_has_no_result_till_it_has_ended() -> None:
    result = give.delay(1)
    deliver(result.job)
    retry_jobs(JobFilter(ids=(result.job.pk,)), actor="ann")
    assert (asked(result).state, asked(result).result, result.job.result) == (states.PENDING, None, None)


@pytest.mark.parametrize(
    "value,says",
    [
        ("object", "NoResult: The result cannot be kept: it cannot be written as JSON"),
        ("large", "NoResult: The result cannot be kept: it has 3.0 MB; the limit is 1.0 MB (JOBS_MAX_RESULT_BYTES)"),
    ],
)
def test_what_cannot_be_kept_is_the_attempts_error_and_not_tried_again(value: str, says: str) -> None:
    done = give.delay(value).job
    deliver(done)
    assert done.state == State.DEAD
    assert says in done.last_error


def test_a_batch_keeps_no_results() -> None:
    with pytest.raises(InvalidOption, match="exclude each other"):
        job(batch=10, ignore_result=False)


def test_a_result_may_be_made_of_what_its_task_hides_and_is_not_shown() -> None:
    result = hides.delay("hush")
    deliver(result.job)
    assert shown_result(result.job) == "[redacted]"
    assert asked(result).get(timeout=5) == "hush"


def test_a_plain_group_of_results_is_joined() -> None:
    done = group(give.s(number) for number in range(3)).apply_async()
    for one in done.children:
        deliver(Job.objects.get(pk=one.id))
    assert done.get(timeout=5) == [0, 1, 2]


def test_the_page_and_the_api_show_a_result(admin_client: Client) -> None:
    result = give.delay({"count": 12345})
    deliver(result.job)
    assert "12345" in admin_client.get(f"/jobs/{result.id}/").content.decode()
    assert admin_client.get(f"/api/jobs/{result.id}").json()["result"] == {"count": 12345}


def test_the_backend_of_the_application_is_the_ledger() -> None:
    assert current_app.backend.as_uri() == "ledger://"
