"""What a task logs is kept with its attempt, in bounds, and without what the task hides."""

import logging
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from jobs.models import AttemptLog, Job
from jobs.tasks.redaction import HIDDEN
from jobs.worker.attempt_logs import NO_MORE, collector
from tests.jobs.delivery import deliver
from tests.jobs.people import viewer
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

SECRET = "Xyzzy-Plugh-90210"  # noqa: S105 (nobody's)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    """Let loggers take what is said for information, whatever the test before has set, and keep nothing of its jobs."""
    caplog.set_level(logging.INFO)
    while collector.write():
        pass
    AttemptLog.objects.all().delete()


def logged(task: Any, *args: Any, **kwargs: Any) -> tuple[Job, str]:
    """Run a job of a task, and return it with what is kept of its log."""
    job = Job.objects.get(pk=task.delay(*args, **kwargs).id)
    deliver(job)
    while collector.write():
        pass
    return job, "\n".join(AttemptLog.objects.filter(job=job).values_list("text", flat=True))


def test_a_line_says_when_who_and_what() -> None:
    job, text = logged(tasks.talkative, "Sent 3 mails")
    assert text[2] == text[5] == ":"
    assert text[8:] == " INFO tests.talkative: Sent 3 mails "
    assert AttemptLog.objects.get().number == job.attempt == 1


def test_what_is_logged_outside_of_a_task_is_nobodys() -> None:
    logged(tasks.talkative, "within")
    logging.getLogger("tests.talkative").info("after")
    collector.write()
    assert "after" not in AttemptLog.objects.get().text


def test_what_a_task_hides_is_not_kept() -> None:
    _, text = logged(tasks.talkative, "The key is", secret=SECRET)
    assert SECRET not in text
    assert text.endswith(f"The key is {HIDDEN}")


def test_a_secret_that_is_known_by_its_shape_is_not_kept() -> None:
    _, text = logged(tasks.talkative, "postgres://app:hunter2@db/app?token=abcdef nst_" + "x" * 40)
    assert "hunter2" not in text
    assert "abcdef" not in text
    assert "xxx" not in text


def test_no_more_is_kept_than_the_settings_say_and_that_is_said_once(settings: Settings) -> None:
    settings.JOBS_LOG_BYTES = 1_000
    _, text = logged(tasks.talkative, "x" * 100, times=50)
    assert len(text.encode()) < 1_000 + len(NO_MORE.encode()) + 10
    assert text.count(NO_MORE) == 1
    assert text.endswith(NO_MORE)


@pytest.mark.parametrize("most", [1, 7, 1_000])
def test_a_line_is_cut_between_signs(settings: Settings, most: int) -> None:
    settings.JOBS_LOG_BYTES = most
    _, text = logged(tasks.talkative, "ä€🎉" * 500)
    kept = text.removesuffix(f"\n{NO_MORE}")
    assert len(kept.encode()) <= most
    assert "\N{REPLACEMENT CHARACTER}" not in kept


def test_nothing_is_kept_where_the_settings_say_so(settings: Settings) -> None:
    settings.JOBS_LOG_BYTES = 0
    assert logged(tasks.talkative, "x")[1] == ""


@pytest.mark.parametrize("words", ["a\x00b", "a\ud800b"])
def test_what_no_database_can_hold_is_replaced(words: str) -> None:
    _, text = logged(tasks.say_odd, ascii(words))
    assert text.endswith(("a\N{REPLACEMENT CHARACTER}b", "a?b"))


def test_a_traceback_is_kept_with_its_line() -> None:
    _, text = logged(tasks.grumble)
    assert "Went on after" in text
    assert "tests.tasks_app.tasks.Broken: never mind" in text


def test_a_coroutine_s_log_is_kept() -> None:
    assert logged(tasks.talking_later, "from a coroutine")[1].endswith("from a coroutine")


def test_each_attempt_has_its_own_log_on_the_page_and_in_the_api(viewer_: Client) -> None:
    job, _ = logged(tasks.talkative, "the first <b>")
    Job.objects.filter(pk=job.pk).update(attempt=2)
    AttemptLog.objects.create(job=job, number=2, at=job.created_at, text="the second")
    page = viewer_.get(f"/jobs/{job.pk}/").content.decode()
    assert page.index("the second") < page.index("the first &lt;b&gt;")
    found = viewer_.get(f"/api/jobs/{job.pk}/logs").json()["logs"]
    assert found[0]["text"][9:] == "INFO tests.talkative: the first <b> "
    assert [one["attempt"] for one in found] == [1, 2]


@pytest.fixture
def viewer_(db: None) -> Client:
    """Someone who may look."""
    return viewer()
