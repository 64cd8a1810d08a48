"""New code reads the arguments of older code, and leaves those of newer code alone."""

import json
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from celery import current_app
from django.utils import timezone

from jobs import Batch, InvalidOption, Permanent, job
from jobs.core.versions import VERSION_HEADER
from jobs.maintenance.held_back import HeldBack
from jobs.models import DeadLetter, Job
from jobs.operations import dead_letter_actions
from jobs.operations.filters import DeadLetterFilter
from jobs.operations.job_json import named_arguments
from jobs.reports.deploy import unrunnable
from tests.jobs.delivery import deliver, deliver_foreign, message_of
from tests.jobs.rows import written
from tests.servers import Valkey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

seen: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_seen(valkey: Valkey) -> Iterator[None]:
    seen.clear()
    yield
    seen.clear()


def from_1(address: str, text: str = "hello") -> dict[str, Any]:
    """Return the arguments of version 2, which has several addresses."""
    if address == "bad":
        raise LookupError("nobody has this address")
    if address == "dropped":
        raise Permanent("jobs of version 1 do not run any more")
    return {"addresses": [address], "text": text}


def from_2(addresses: list[str], text: str) -> dict[str, Any]:
    """Return the arguments of version 3, whose text has another name."""
    seen.append("from 2")
    return {"addresses": addresses, "body": text} if text != "none" else {"other": 1}


@job(name="tests.versions", version=3, upgrade={1: from_1, 2: from_2}, max_retries=1)
def tell(addresses: list[str], *, body: str) -> None:
    seen.append((addresses, body, tell.request.args, tell.request.kwargs))


@job(name="tests.versions.hiding", version=2, upgrade={1: lambda password: {"secret": password}}, redact=("secret",))
def hiding(secret: str, public: str = "") -> None:
    if secret:
        raise ValueError(f"nobody has the password {secret}")


class Line(NamedTuple):
    text: str


@job(name="tests.versions.batch", version=2, upgrade={1: lambda old: {"text": f"was {old}"}}, batch=5)
def several(batch: Batch[Line]) -> None:
    seen.extend(item.value.text for item in batch)


@job(name="tests.versions.first")
def first() -> None:
    """Be of version 1, without a word about it."""


def of_version(version: int, *args: Any, task: str = "tests.versions", **kwargs: Any) -> Job:
    """Return the row of a job that code of that version has enqueued."""
    options = {"version": version} if version > 1 else None
    return written(task=task, args=json.dumps(args), kwargs=json.dumps(kwargs), options=options)


def ran(row: Job) -> Job:
    deliver(row)
    return row


@pytest.mark.parametrize(
    "row,expected",
    [
        ((1, ["a"], {}), (["a"], "hello")),
        ((1, ["a", "hi"], {}), (["a"], "hi")),
        ((1, [], {"text": "hi", "address": "a"}), (["a"], "hi")),
        ((2, [["a", "b"], "hi"], {}), (["a", "b"], "hi")),
        ((3, [["a"]], {"body": "hi"}), (["a"], "hi")),
    ],
)
def test_arguments_of_each_version_are_read(row: tuple[int, list[Any], dict[str, Any]], expected: Any) -> None:
    version, args, kwargs = row
    assert ran(of_version(version, *args, **kwargs)).state == "succeeded"
    *_, last = seen
    assert last[:2] == expected
    # The task sees what it takes, and not what came.
    assert (*last[2], *last[3].values()) == expected
    assert ("from 2" in seen) is (version < 3)


def test_a_call_is_of_the_tasks_version_and_says_so_in_its_message() -> None:
    row = tell.delay(["a"], body="hi").job
    assert row.options == {"version": 3}
    assert message_of(row).headers[VERSION_HEADER] == 3
    assert first.delay().job.options is None
    assert VERSION_HEADER not in message_of(first.delay().job).headers


def test_an_upgrade_that_raises_is_an_attempt_with_that_error() -> None:
    row = ran(of_version(1, "bad"))
    assert (row.state, row.attempt, row.last_error) == ("retrying", 1, "LookupError: nobody has this address")
    assert "from_1" in row.attempts.get().traceback


def test_an_upgrade_may_give_up() -> None:
    row = ran(of_version(1, "dropped"))
    assert (row.state, row.last_error) == ("dead", "Permanent: jobs of version 1 do not run any more")


@pytest.mark.parametrize("arguments", [["a", "b", "c"], []])
def test_arguments_that_an_upgrade_does_not_take_are_an_attempt_too(arguments: list[Any]) -> None:
    row = ran(of_version(1, *arguments))
    assert row.state == "retrying"
    assert row.last_error.startswith("TypeError: from_1()")


def test_what_an_upgrade_makes_and_the_task_does_not_take_waits_for_newer_code() -> None:
    row = ran(of_version(2, ["a"], "none"))
    assert (row.state, row.attempt, row.held_by) == ("queued", 0, "invalid")


@pytest.mark.parametrize("found", [None, ["a"], {1: "a"}, "a"])
def test_what_an_upgrade_returns_must_be_arguments_by_name(found: Any) -> None:
    @job(name=f"tests.versions.odd.{found}", version=2, upgrade={1: lambda: found})
    def odd() -> None: ...

    row = ran(of_version(1, task=odd.name))
    assert row.state == "retrying"
    assert "the upgrade of version 1 returned a" in row.last_error


def test_a_job_of_newer_code_waits_for_it() -> None:
    row = ran(of_version(4, what="ever"))
    assert (row.state, row.attempt, row.held_by, seen) == ("queued", 0, "invalid", [])
    assert "are of version 4, and this code knows them up to version 3" in row.last_error
    assert row.held_back == "needs newer code"


def test_newer_code_frees_it() -> None:
    freed: list[str] = []
    rows = [ran(of_version(4, ["a"], body="hi")), ran(of_version(2, ["a"], "none"))]
    Job.objects.filter(pk=rows[0].pk).update(options={"version": 3})
    HeldBack(current_app._get_current_object(), freed.extend).look()
    assert [Job.objects.get(pk=row.pk).held_by for row in rows] == [None, "invalid"]
    assert freed == ["default"]


def test_a_held_job_whose_upgrade_raises_is_freed_for_an_attempt_with_that_error() -> None:
    row = ran(of_version(4, "bad"))
    Job.objects.filter(pk=row.pk).update(options=None)
    HeldBack(current_app._get_current_object(), lambda _: None).look()
    assert ran(Job.objects.get(pk=row.pk)).state == "retrying"


def test_jobs_of_a_batch_are_upgraded_each() -> None:
    rows = [of_version(1, "a", task=several.name), of_version(2, "b", task=several.name)]
    deliver(rows[0])
    assert sorted(seen) == ["b", "was a"]
    assert set(Job.objects.values_list("state", flat=True)) == {"succeeded"}


@pytest.mark.parametrize(
    "version,expected", [(None, (["a"], "hello")), (2, (["a", "b"], "hi")), (3, (["a", "b"], "hi"))]
)
def test_a_foreign_message_may_say_its_version(version: int | None, expected: Any) -> None:
    several = {"addresses": ["a", "b"]}
    kwargs: dict[str, Any] = {2: {**several, "text": "hi"}, 3: {**several, "body": "hi"}}.get(
        version or 1, {"address": "a"}
    )
    headers = {VERSION_HEADER: version} if version else {}
    deliver_foreign(tell.name, [], kwargs, "01a22397-8b30-7571-820e-459c9e27a488", **headers)
    assert seen[-1][:2] == expected


@pytest.mark.parametrize("odd", ["2", 0, -1, 2.0, True, [2], 10**9])
def test_a_header_that_is_no_version_says_nothing(odd: Any) -> None:
    deliver_foreign(tell.name, ["a"], {}, "01a22397-8b30-7571-820e-459c9e27a488", **{VERSION_HEADER: odd})
    assert seen[-1][:2] == (["a"], "hello")


def test_a_further_call_that_replaces_the_arguments_of_a_waiting_job_replaces_their_version() -> None:
    row = of_version(1, "a")
    Job.objects.filter(pk=row.pk).update(unique_key="tests.versions:k")
    tell.apply_async([["b"]], {"body": "new"}, unique="k", replace=("kwargs",))
    row.refresh_from_db()
    assert (row.args, row.options) == ([["b"]], {"version": 3})
    older = first.apply_async(unique="k").job
    Job.objects.filter(pk=older.pk).update(options={"version": 9, "shadow": "x"})
    first.apply_async(unique="k", replace=("kwargs",))
    older.refresh_from_db()
    assert older.options == {"shadow": "x"}


def letter(version: int, args: list[Any]) -> DeadLetter:
    """Return a dead letter whose job was pruned."""
    return DeadLetter.objects.create(
        id=uuid.uuid4(),
        task=tell.name,
        queue="default",
        reason="permanent",
        attempt=1,
        error="x",
        failed_at=timezone.now(),
        body=b"[]",
        content_type="application/json",
        content_encoding="utf-8",
        headers={VERSION_HEADER: version},
        properties={},
        args=args,
        kwargs={},
    )


def test_a_letter_without_its_job_is_replayed_with_its_version() -> None:
    chosen = DeadLetterFilter(ids=(letter(2, [["a"], "hi"]).pk,))
    done = dead_letter_actions.replay(chosen, actor="test")
    assert (done.changed, done.refused) == (1, ())
    anew = Job.objects.get()
    assert (anew.args, anew.kwargs, anew.options) == ([], {"addresses": ["a"], "body": "hi"}, {"version": 3})


def test_letters_that_cannot_be_upgraded_are_refused_and_stop_no_other() -> None:
    letters = [letter(1, ["bad"]), letter(4, []), letter(1, ["a"])]
    done = dead_letter_actions.replay(DeadLetterFilter(ids=tuple(one.pk for one in letters)), actor="test")
    assert done.changed == 1
    why = {one.id: one.why for one in done.refused}
    assert "the upgrade from version 1 raises LookupError" in why[letters[0].pk]
    assert "are of version 4" in why[letters[1].pk]


def test_check_deploy_knows_what_can_be_upgraded() -> None:
    of_version(1, "a")
    of_version(2, ["a"], "hi")
    assert unrunnable() == []
    of_version(1, "bad")
    of_version(2, ["a"], "none")
    of_version(4)
    found = [one.why for one in unrunnable()]
    assert len(found) == 3
    assert "tests.versions: the upgrade from version 1 raises LookupError" in found
    assert any("do not fit the task's signature" in why for why in found)
    assert any("are of version 4, and this code knows them up to version 3" in why for why in found)


def test_what_a_task_hides_is_hidden_under_the_names_of_earlier_versions_too() -> None:
    for shown in (
        named_arguments(hiding.name, ["s3cret-word"], {}),
        named_arguments(hiding.name, [], {"password": "s3cret-word"}),
        named_arguments(hiding.name, [], {"secret": "s3cret-word"}),
    ):
        assert "s3cret-word" not in str(shown)
    assert named_arguments(hiding.name, [], {"public": "x"}) == {"public": "x"}
    row = ran(of_version(1, "s3cret-word", task=hiding.name))
    assert row.state == "retrying"
    assert "s3cret-word" not in row.last_error + row.attempts.get().traceback


@pytest.mark.parametrize(
    "options,words",
    [
        ({"version": 0}, "version=0 is not valid: it must be a whole number from 1"),
        ({"version": -1}, "version=-1"),
        ({"version": True}, "version=True"),
        ({"version": "2"}, "version='2'"),
        ({"version": 2.0}, "version=2.0"),
        ({"version": 10_001}, "version=10001"),
        ({"version": 2}, "missing: 1"),
        ({"version": 3, "upgrade": {1: from_1}}, "missing: 2"),
        ({"version": 3, "upgrade": {2: from_1}}, "missing: 1"),
        ({"version": 5, "upgrade": {1: from_1, 3: from_1}}, "missing: 2, 4"),
        ({"version": 2, "upgrade": {1: from_1, 2: from_2}}, "upgrade= names 2, and version=2"),
        ({"upgrade": {1: from_1}}, "upgrade= names 1, and version=1"),
        ({"version": 2, "upgrade": {1: "from_1"}}, "upgrade="),
        ({"version": 2, "upgrade": {"1": from_1}}, "upgrade="),
        ({"version": 2, "upgrade": {0: from_1}}, "upgrade="),
        ({"version": 2, "upgrade": [from_1]}, "upgrade="),
    ],
    ids=str,
)
def test_a_chain_that_leads_nowhere_is_refused_at_the_declaration(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOption) as caught:

        @job(name="tests.versions.refused", **options)
        def refused() -> None: ...

    assert words in str(caught.value)
    assert "tests.versions.refused" not in current_app.tasks
