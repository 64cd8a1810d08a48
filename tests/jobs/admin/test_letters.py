"""Dead letters, queues, tokens, schedules and records in the admin."""

import pytest
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.models import ApiToken, DeadLetter, Job, OperatorAction, Queue
from jobs.operations import tokens
from tests.jobs.letters import NOOP, dead_letter, job_of, letter_of_a_dead_job
from tests.jobs.people import logged_in, operator, person, viewer
from tests.jobs.worker_rows import worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

LETTERS = "/admin/jobs/deadletter/"
QUEUES = "/admin/jobs/queue/"
TOKENS = "/admin/jobs/apitoken/"


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def test_letters_are_listed_filtered_searched_and_shown() -> None:
    wanted, other = dead_letter(reason="poison", kwargs={"effect": "violin"}), dead_letter()
    client = viewer()
    for query in ({"reason": "poison"}, {"q": "violin"}, {"q": str(wanted.pk)}):
        shown = page(client, LETTERS, **query)
        assert str(wanted.pk) in shown
        assert f"/{other.pk}/" not in shown
    assert "violin" in page(client, f"{LETTERS}{wanted.pk}/change/")


def test_letters_dealt_with_can_be_left_out() -> None:
    done = letter_of_a_dead_job()
    operator().post(LETTERS, {"action": "discard", "_selected_action": [str(done.pk)], "confirmed": "1"})
    client = viewer()
    assert str(done.pk) in page(client, LETTERS, done="discarded")
    assert str(done.pk) not in page(client, LETTERS, done="no")


def test_a_letter_is_replayed_after_a_question() -> None:
    letter = letter_of_a_dead_job()
    client = operator()
    chosen = {"action": "replay", "_selected_action": [str(letter.pk)]}
    assert "concerns 1 of them" in client.post(LETTERS, chosen).content.decode()
    client.post(LETTERS, {**chosen, "confirmed": "1"})
    assert job_of(letter).state == "queued"


def test_a_viewer_cannot_discard() -> None:
    letter = dead_letter()
    viewer().post(LETTERS, {"action": "discard", "_selected_action": [str(letter.pk)], "confirmed": "1"})
    assert DeadLetter.objects.get().is_open


def test_a_queue_is_paused_by_adding_it_and_resumed_by_choosing_it() -> None:
    client = operator()
    client.post(f"{QUEUES}add/", {"name": "tests.other"})
    assert Queue.objects.get().paused_by == "bob@example.com"
    client.post(f"{QUEUES}add/", {"name": "tests.other"})
    client.post(QUEUES, {"action": "resume", "_selected_action": ["tests.other"]})
    assert Queue.objects.get().paused_at is None
    client.post(QUEUES, {"action": "pause", "_selected_action": ["tests.other"]})
    assert Queue.objects.get().paused_at is not None


def test_a_queue_nobody_names_cannot_be_paused() -> None:
    assert "Select a valid choice" in operator().post(f"{QUEUES}add/", {"name": "emial"}).content.decode()
    assert viewer().post(f"{QUEUES}add/", {"name": "tests.other"}).status_code == 403


def test_a_token_is_made_and_shown_once() -> None:
    client = logged_in(person("add_apitoken", "view_apitoken", "change_apitoken", "view_job", "add_job"))
    answer = client.post(f"{TOKENS}add/", {"name": "billing", "scopes": ["submit", "read"]})
    row = ApiToken.objects.get()
    shown = answer.content.decode()
    token = shown.split('class="vLargeTextField" value="')[1].split('"')[0]
    assert tokens.recognise(token) == row
    assert (row.created_by, row.scopes) == ("alice@example.com", ["read", "submit"])
    assert "no-store" in answer["Cache-Control"]
    for again in (page(client, TOKENS), page(client, f"{TOKENS}{row.pk}/change/")):
        assert token not in again
        assert row.digest not in again
    client.post(TOKENS, {"action": "revoke", "_selected_action": [str(row.pk)]})
    assert tokens.recognise(token) is None


def test_nobody_gives_away_what_they_may_not_do() -> None:
    client = logged_in(person("add_apitoken", "view_apitoken", "view_job"))
    answer = client.post(f"{TOKENS}add/", {"name": "billing", "scopes": ["read", "operate"]})
    assert "You may not give away what you may not do: operate." in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_schedule_runs_now_and_it_is_on_record() -> None:
    every, _ = IntervalSchedule.objects.get_or_create(every=5, period="minutes")
    schedule = PeriodicTask.objects.create(name="nothing", task=NOOP, interval=every)
    client = logged_in(
        person("operate_job", "django_celery_beat.view_periodictask", "django_celery_beat.change_periodictask")
    )
    address = "/admin/django_celery_beat/periodictask/"
    answer = client.post(address, {"action": "run_tasks", "_selected_action": [str(schedule.pk)]}, follow=True)
    assert f"as job {Job.objects.get().pk}" in answer.content.decode()
    assert OperatorAction.objects.get().action == "run schedule"


def test_records_are_only_read() -> None:
    worker()
    OperatorAction.objects.create(actor="alice", action="retry", target={"queue": "default"}, count=3)
    client = viewer()
    assert "alice" in page(client, "/admin/jobs/operatoraction/")
    assert "alive" in page(client, "/admin/jobs/worker/")
    action = OperatorAction.objects.get()
    assert "default" in page(client, f"/admin/jobs/operatoraction/{action.pk}/change/")
    assert client.post(f"/admin/jobs/operatoraction/{action.pk}/delete/", {"post": "yes"}).status_code == 403
