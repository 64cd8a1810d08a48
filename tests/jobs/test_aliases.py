"""A task that was renamed runs what comes under its old names: rows, messages, calls, schedules."""

from datetime import timedelta
from typing import Any

import pytest
from celery import current_app, shared_task, signature
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs import InvalidOption, job
from jobs.models import Job
from jobs.operations import tokens
from jobs.operations.filters import DeadLetterFilter
from jobs.reports.dead_letters import groups
from jobs.reports.deploy import unrunnable
from jobs.reports.failures import failures
from jobs.reports.troubles import troubles
from jobs.schedules import run_now
from jobs.tasks.registry import registered
from jobs.webhooks.subscriptions import Subscription
from tests.jobs.delivery import deliver, deliver_foreign
from tests.jobs.letters import dead_letter
from tests.jobs.rows import written
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

NEW, OLD, OLDER = "tests.aliases.new", "tests.aliases.old", "tests.aliases.older"
seen: list[str] = []


@job(name=NEW, aliases=[OLD, OLDER], public=True, redact=("secret",))
def renamed(word: str, secret: str = "") -> None:
    seen.append(word)


@job(name="tests.aliases.single", aliases=["tests.aliases.lone"])
def single() -> None: ...


@shared_task(name="tests.aliases.plain")  # type: ignore[untyped-decorator]
def plain() -> None: ...


@pytest.fixture(autouse=True)
def nothing_seen(valkey: Valkey) -> None:
    seen.clear()


@pytest.mark.parametrize("name", [OLD, OLDER, NEW])
def test_a_row_of_each_name_runs(name: str) -> None:
    row = written(task=name, args='["a"]')
    deliver(row)
    assert (row.state, row.task, seen) == ("succeeded", name, ["a"])
    assert unrunnable() == []


@pytest.mark.parametrize("name", [OLD, OLDER])
def test_a_foreign_message_of_an_old_name_becomes_a_job_of_the_new_one(name: str) -> None:
    deliver_foreign(name, ["a"], {}, "01a22397-8b30-7571-820e-459c9e27a488")
    assert (Job.objects.get().task, seen) == (NEW, ["a"])


def test_a_signature_of_an_old_name_calls_the_task() -> None:
    result = signature(OLD, args=["a"]).apply_async()
    assert Job.objects.get(pk=result.id).task == NEW


def test_what_is_hidden_is_hidden_under_an_old_name(admin_client: Client) -> None:
    row = written(task=OLD, kwargs='{"word": "a", "secret": "s3cret-word"}')
    page = admin_client.get(f"/jobs/{row.pk}/").content.decode()
    assert "[redacted]" in page
    assert "s3cret-word" not in page


def test_a_unique_job_that_waits_under_an_old_name_is_found() -> None:
    row = written(task="tests.aliases.lone", unique_key="tests.aliases.lone:k")
    assert single.apply_async(unique="k").id == str(row.pk)
    assert single.apply_async(unique="other").id != str(row.pk)


def test_what_failed_under_any_of_its_names_is_told_of_the_present_one(admin_client: Client) -> None:
    letters = []
    for name, error in ((OLD, "KeyError"), (NEW, "ValueError"), (OLDER, "ValueError")):
        row = written(task=name)
        row.attempts.create(number=1, outcome="dead", error_type=error, error="no")
        letters.append(dead_letter(task=name, job=row, error=f"{error}: no"))
    since = timezone.now() - timedelta(hours=1)
    assert [(one.task, one.count) for one in failures(since)] == [(NEW, 3)]
    assert [(one.task, one.died, one.kinds) for one in troubles(since)] == [
        (NEW, 3, [("ValueError", 2), ("KeyError", 1)])
    ]
    group = groups(DeadLetterFilter())[0]
    assert (group.task, group.error, group.count) == (NEW, "ValueError: no", 2)
    # Where its link leads there are all of them.
    page = admin_client.get(f"/jobs/dead/list/?{group.query}").content.decode()
    assert [str(letter.pk) in page for letter in letters] == [False, True, True]


@pytest.mark.parametrize("said", [NEW, OLD])
def test_a_webhook_of_any_of_its_names_is_told_of_all_its_jobs(said: str) -> None:
    webhook = Subscription(1, (said,), frozenset({"dead"}), "")
    wanted = [webhook.wants(name, "default", "dead") for name in (NEW, OLD, OLDER, "tests.aliases.single")]
    assert wanted == [True, True, True, False]


def test_what_lists_tasks_names_each_once() -> None:
    assert registered()[OLD] is registered()[NEW]
    names = sorted({task.name for task in registered().values()})
    assert (OLD in names, NEW in names) == (False, True)


@pytest.mark.parametrize(
    "aliases,words",
    [
        ("tests.x", "aliases='tests.x' is not valid: it must be a tuple or list of names"),
        ([""], "aliases="),
        ([1], "aliases="),
        (["a\nb"], "aliases="),
        (["x" * 201], "aliases="),
        (["tests.aliases.refused"], "has the task's own name"),
        ([NEW], f"the alias {NEW!r} is a name of"),
        ([OLD], f"the alias {OLD!r} is a name of"),
    ],
)
def test_a_name_that_cannot_be_an_alias_is_refused(aliases: Any, words: str) -> None:
    with pytest.raises(InvalidOption) as caught:

        @job(name="tests.aliases.refused", aliases=aliases)
        def refused() -> None: ...

    assert words in str(caught.value)
    assert "tests.aliases.refused" not in current_app.tasks


def test_a_task_under_the_old_name_of_another_is_refused() -> None:
    with pytest.raises(InvalidOption, match="is an alias of"):

        @job(name=OLD)
        def taken() -> None: ...

    assert current_app.tasks[OLD].name == NEW


def test_a_plain_tasks_name_is_nobodys_alias() -> None:
    assert current_app.tasks["tests.aliases.plain"]
    with pytest.raises(InvalidOption, match="is the name of another task"):

        @job(name="tests.aliases.takes", aliases=["tests.aliases.plain"])
        def takes() -> None: ...

    assert current_app.tasks["tests.aliases.plain"].name == "tests.aliases.plain"


def test_a_schedule_of_an_old_name_runs() -> None:
    interval = IntervalSchedule.objects.create(every=1, period="hours")
    row = PeriodicTask.objects.create(name="old", task=OLD, args='["a"]', interval=interval)
    assert Job.objects.get(pk=run_now(row, actor="alice")).task == NEW


def test_a_client_may_submit_under_an_old_name() -> None:
    _, token = tokens.create("client", ["submit", "read"], by="test")
    answer = Client().post(
        "/api/jobs",
        {"task": OLD, "kwargs": {"word": "a"}},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["task"]) == (201, NEW)
