"""What the pages tell: one job, the overview, dead letters, queues, schedules, workers, history."""

import json
import uuid
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.core.states import State
from jobs.ledger import attempts, enqueue_once
from jobs.models import DeadLetter, Job, OperatorAction, Queue, Worker
from jobs.reports.queues import UNFINISHED, QueueReport
from jobs.templatetags.words import drains
from tests.jobs.dashboard.letters import letter
from tests.jobs.rows import LEASE, claimed, in_state, new_job, written
from tests.jobs.worker_rows import worker
from tests.seeding import seed

NOTE = "tests.tasks_app.tasks.note"


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_every_page_shows_a_seeded_ledger(operator: Client) -> None:
    seed(400, days=0.5)
    job, dead = Job.objects.filter(attempt__gt=1).first(), DeadLetter.objects.first()
    assert job is not None
    assert dead is not None
    paths = [
        "",
        "?span=day",
        "?span=week",
        "list/",
        "dead/",
        "dead/list/",
        "queues/",
        "schedules/",
        "workers/",
    ]
    for path in [*paths, "flow/", "history/", f"{job.pk}/", f"dead/{dead.pk}/"]:
        assert operator.get(f"/jobs/{path}").status_code == 200


def test_a_job_tells_its_errors_arguments_and_kin(viewer: Client) -> None:
    job = in_state(State.DEAD)
    child = written(parent_id=job.pk, correlation_id=str(job.pk), task="child.task")
    sibling = written(correlation_id=str(job.pk), task="sibling.task")
    page = text(viewer, f"/jobs/{job.pk}/")
    assert "ValueError" in page
    assert "it failed" in page
    for kin in (child, sibling):
        assert f'href="/jobs/{kin.pk}/"' in page
    assert f'href="/jobs/{job.pk}/"' in text(viewer, f"/jobs/{child.pk}/")


def test_a_job_tells_its_headers_and_what_follows_it(viewer: Client) -> None:
    steps = [{"task": "third.task", "kwargs": {"secret": "hush"}}, {"task": "second.task"}]
    job = written(options={"headers": {"tenant": "blue"}, "chain": steps, "time_limit": 30})
    page = text(viewer, f"/jobs/{job.pk}/")
    assert '<b>tenant</b> <code class="text">&quot;blue&quot;</code>' in page
    assert "<dt>Then</dt><dd><code>second.<wbr>task</code>, <code>third.<wbr>task</code></dd>" in page
    assert "hush" not in page


def test_a_unique_job_tells_for_how_many_calls_it_stands(viewer: Client) -> None:
    job = written(unique_key="order:1")
    assert "Stands for" not in text(viewer, f"/jobs/{job.pk}/")
    for _ in range(2):
        enqueue_once.write(new_job(unique_key="order:1"))
    assert "<dt>Stands for</dt><dd>3 calls</dd>" in text(viewer, f"/jobs/{job.pk}/")


def test_the_actions_offered_fit_the_state(operator: Client) -> None:
    offered = {State.DEAD: ("Retry",), State.QUEUED: ("Cancel",), State.RETRYING: ("Retry", "Cancel")}
    for state, verbs in offered.items():
        page = text(operator, f"/jobs/{in_state(state).pk}/")
        assert [verb for verb in ("Retry", "Cancel") if f">{verb}</button>" in page] == list(verbs)


def test_a_dead_job_leads_to_its_letter_until_that_is_dealt_with(operator: Client, viewer: Client) -> None:
    dead = letter()
    page, link = f"/jobs/{dead.job_id}/", f'href="/jobs/dead/{dead.pk}/">Correct or discard</a>'
    assert link in text(operator, page)
    assert link not in text(viewer, page)
    DeadLetter.objects.update(discarded_at=timezone.now())
    assert link not in text(operator, page)


def test_progress_is_a_bar(viewer: Client) -> None:
    job = claimed()
    attempts.note_progress(job.pk, LEASE, json.dumps({"done": 12, "total": 50, "message": "Shard 1"}))
    page = text(viewer, f"/jobs/{job.pk}/")
    assert '<progress max="50" value="12"' in page
    assert "12 of 50 (24 %) · Shard 1" in page


def test_raw_json_is_what_the_api_says(viewer: Client) -> None:
    job = written(task=NOTE, args='["x"]')
    answer = viewer.get(f"/jobs/{job.pk}/json")
    assert answer.json()["kwargs"] == {"effect": "x"}


def test_a_job_that_is_not_there_is_not_found(viewer: Client) -> None:
    assert viewer.get(f"/jobs/{uuid.uuid4()}/").status_code == 404


def test_markup_in_errors_and_arguments_is_shown_as_text(viewer: Client) -> None:
    job = written(task=NOTE, kwargs='{"effect": "<script>alert(1)</script>"}')
    Job.objects.filter(pk=job.pk).update(last_error="X: <img src=x onerror=alert(1)>")
    for path in (f"/jobs/{job.pk}/", "/jobs/list/"):
        page = text(viewer, path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_dead_letters_are_grouped_by_task_and_kind_of_error(viewer: Client) -> None:
    for number in range(3):
        letter(error=f"Refused: <reader{number}@example.com> unknown")
    letter(error="Refused: greylisted")
    groups = viewer.get("/jobs/dead/").context["groups"]
    assert [(group.error, group.count) for group in groups] == [("Refused: <…> unknown", 3), ("Refused: greylisted", 1)]
    assert len(viewer.get(f"/jobs/dead/list/?{groups[0].query}").context["letters"]) == 3


def test_a_message_that_says_no_task_is_shown_to_operators_only(viewer: Client, operator: Client) -> None:
    found = letter(job=None, task="", reason="unreadable", body=b"\xff garbage", args=None, kwargs=None)
    assert "garbage" in text(operator, f"/jobs/dead/{found.pk}/")
    assert "garbage" not in text(viewer, f"/jobs/dead/{found.pk}/")


def test_headers_are_shown_without_the_arguments_they_repeat(viewer: Client) -> None:
    found = letter(headers={"task": NOTE, "argsrepr": "['hunter2']", "kwargsrepr": "{}", "x-custom": "shown"})
    page = text(viewer, f"/jobs/dead/{found.pk}/")
    assert "hunter2" not in page
    assert "shown" in page


def test_a_queue_is_paused_and_resumed(operator: Client) -> None:
    written(queue="default")
    operator.post("/jobs/queues/default/pause")
    assert Queue.objects.get(name="default").paused_at is not None
    assert 'action="/jobs/queues/default/resume"' in text(operator, "/jobs/queues/?fresh=1")
    operator.post("/jobs/queues/default/resume")
    assert Queue.objects.get(name="default").paused_at is None


@pytest.fixture
def nightly(db: None) -> PeriodicTask:
    """A schedule."""
    cron = CrontabSchedule.objects.create(minute="0", hour="3", day_of_week="0", timezone="Europe/Berlin")
    return PeriodicTask.objects.create(name="Nightly", task=NOTE, crontab=cron, kwargs='{"effect": "x"}')


def test_a_schedule_says_itself_in_words(viewer: Client, nightly: PeriodicTask) -> None:
    page = text(viewer, "/jobs/schedules/")
    assert "At 03:00, only on Sunday" in page
    assert "Europe/Berlin" in page
    assert page.count("Sun ") >= 5


@pytest.mark.usefixtures("valkey")
def test_a_schedule_is_run_now(operator: Client, nightly: PeriodicTask) -> None:
    answer = operator.post(f"/jobs/schedules/{nightly.pk}/run")
    job = Job.objects.get()
    assert answer["Location"] == f"/jobs/{job.pk}/"
    assert "asked for by bob@example.com" in text(operator, "/jobs/schedules/")


def test_a_schedule_that_cannot_be_run_says_why(operator: Client, nightly: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=nightly.pk).update(task="gone.task")
    answer = operator.post(f"/jobs/schedules/{nightly.pk}/run", follow=True)
    assert "Nightly was not run." in answer.content.decode()


def test_a_schedule_is_disabled_and_enabled(operator: Client, nightly: PeriodicTask) -> None:
    operator.post(f"/jobs/schedules/{nightly.pk}/disable")
    nightly.refresh_from_db()
    assert not nightly.enabled
    operator.post(f"/jobs/schedules/{nightly.pk}/enable")
    nightly.refresh_from_db()
    assert nightly.enabled
    assert [action.action for action in OperatorAction.objects.order_by("id")] == [
        "disable schedule",
        "enable schedule",
    ]


def test_a_missed_schedule_is_the_overviews_first_line(viewer: Client, nightly: PeriodicTask) -> None:
    PeriodicTask.objects.filter(pk=nightly.pk).update(
        last_run_at=timezone.now() - timedelta(days=20), date_changed=timezone.now() - timedelta(days=20)
    )
    assert "Schedule Nightly should have run" in text(viewer, "/jobs/")


def test_workers_that_are_there_come_first_and_theirs_are_the_only_connections(viewer: Client) -> None:
    worker(name="c@test")
    worker(name="b@test", silent=True)
    worker(name="a@test", stopped_at=timezone.now())
    names = ["c@test", "b@test", "a@test"]
    for path in ("/jobs/", "/jobs/workers/"):
        assert sorted(names, key=text(viewer, path).rindex) == names, path
    assert text(viewer, "/jobs/workers/").count("broker: connected") == 1


def test_a_worker_that_went_silent_is_said(viewer: Client) -> None:
    Worker.objects.create(
        id=uuid.uuid4(),
        name="w@host",
        host="host",
        pid=7,
        queues=["default"],
        pool="prefork",
        concurrency=2,
        seen_at=timezone.now() - timedelta(minutes=5),
    )
    assert "Worker w@host went silent 5 min ago" in text(viewer, "/jobs/")
    assert "last heard of" in text(viewer, "/jobs/workers/")


def test_the_overview_links_each_state_and_draws_what_ended(viewer: Client) -> None:
    in_state(State.DEAD)
    done = in_state(State.SUCCEEDED)
    Job.objects.filter(pk=done.pk).update(started_at=F("run_at") + timedelta(seconds=2))
    page = text(viewer, "/jobs/")
    assert 'href="/jobs/list/?q=state:dead"' in page
    assert "1 succeeded · 1 dead" in page
    assert '<rect class="dead"' in page


@pytest.mark.parametrize(
    "rate_in,rate_out,words", [(2, 5, "2 min"), (6, 5, "growing"), (5, 5, "not moving"), (60, 50, "keeps up")]
)
def test_a_queue_says_when_it_will_be_empty(rate_in: float, rate_out: float, words: str) -> None:
    depth = dict.fromkeys(UNFINISHED, 0) | {State.QUEUED: 6}
    queue = QueueReport("email", depth, timezone.now(), rate_in, rate_out, dead_letters=0, workers=1)
    assert drains(queue) == words
