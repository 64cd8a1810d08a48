"""`/api/queues`, `/api/workers`, `/api/schedules`."""

import json
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from pytest_django.fixtures import Settings

from jobs.core.states import State
from jobs.models import Job, Queue
from tests.jobs.api.conftest import Api
from tests.jobs.letters import NOTE, dead_letter
from tests.jobs.rows import claimed, in_state, written
from tests.jobs.worker_rows import worker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


def test_queues_say_what_waits_and_who_listens(api: Api) -> None:
    written(queue="tests.other")
    dead_letter(queue="tests.other")
    worker(queues=["tests.other"])
    queues = {queue["name"]: queue for queue in api.get("queues").json()["queues"]}
    other = queues["tests.other"]
    assert other["depth"] == {"scheduled": 0, "queued": 1, "running": 0, "retrying": 0}
    assert (other["dead_letters"], other["workers"], other["paused"]) == (1, 1, False)
    assert other["oldest_waiting_seconds"] >= 0
    assert queues["default"]["drain_seconds"] == 0


def test_a_queue_is_paused_and_resumed(api: Api) -> None:
    assert api.post("queues/tests.other/pause").json()["paused_by"] == "token test"
    assert Queue.objects.get().paused_at is not None
    assert api.post("queues/tests.other/resume").json()["paused"] is False
    assert api.post("queues/emial/pause").status_code == 404


def test_workers_are_listed(api: Api) -> None:
    worker(name="a@test")
    (found,) = api.get("workers").json()["workers"]
    assert (found["name"], found["presence"], found["connections"]["broker"]["state"]) == (
        "a@test",
        "alive",
        "connected",
    )


def test_schedules_are_listed_and_run(api: Api) -> None:
    # Those of the site are here or not, by what tests ran before.
    PeriodicTask.objects.all().delete()
    every, _ = IntervalSchedule.objects.get_or_create(every=5, period="minutes")
    schedule = PeriodicTask.objects.create(
        name="a note", task=NOTE, interval=every, kwargs=json.dumps({"effect": "on time"})
    )
    response = api.post(f"schedules/{schedule.pk}/run")
    assert response.status_code == 201
    assert Job.objects.get().kwargs == response.json()["kwargs"] == {"effect": "on time"}
    (found,) = api.get("schedules").json()["schedules"]
    assert (found["name"], found["last_state"], len(found["next_runs"])) == ("a note", "queued", 5)
    assert api.post("schedules/0/run").status_code == 404
    assert api.post(f"schedules/{10**30}/run").status_code == 404
    PeriodicTask.objects.update(task="gone")
    assert api.post(f"schedules/{schedule.pk}/run").status_code == 409


def ended(seconds: float) -> None:
    """Let a job of the other queue have taken so long."""
    job = in_state(State.SUCCEEDED)
    now = timezone.now()
    began = now - timedelta(seconds=seconds)
    Job.objects.filter(pk=job.pk).update(queue="tests.other", started_at=began, finished_at=now)


def test_a_queue_says_how_many_slots_it_wants(api: Api, settings: Settings) -> None:
    settings.JOBS_LATENCY_TARGETS = {"tests.other": 10.0}
    worker(queues=["tests.other", "default"], concurrency=4)
    worker(name="b@test", queues=["default"], concurrency=8)
    ended(2.0)
    ended(4.0)
    for _ in range(10):
        written(queue="tests.other")
    load = api.get("queues/tests.other/load").json()
    assert (load["waiting"], load["running"], load["workers"], load["slots"]) == (10, 0, 1, 4)
    assert load["run_seconds"] == pytest.approx(3.0)
    # Twelve came within five minutes, and ten are to begin within ten seconds; each takes three.
    assert load["slots_wanted"] == 4
    assert load["target_seconds"] == 10.0


def test_what_no_slot_would_help_wants_none(api: Api) -> None:
    Job.objects.filter(pk=written(queue="tests.other").pk).update(held_by="newer code", held_since=timezone.now())
    Job.objects.update(created_at=F("created_at") - timedelta(hours=1))
    assert api.get("queues/tests.other/load").json()["slots_wanted"] == 0
    written(queue="tests.other")
    assert api.get("queues/tests.other/load").json()["slots_wanted"] == 1
    api.post("queues/tests.other/pause")
    assert api.get("queues/tests.other/load").json()["slots_wanted"] == 0


def test_what_runs_is_not_cut_off(api: Api) -> None:
    Job.objects.filter(pk=claimed().pk).update(queue="tests.other")
    api.post("queues/tests.other/pause")
    assert api.get("queues/tests.other/load").json()["slots_wanted"] == 1


def test_a_load_is_of_a_queue_that_is_there(api: Api) -> None:
    assert api.get("queues/emial/load").status_code == 404


def test_a_target_stands_beside_the_oldest_wait(api: Api, settings: Settings) -> None:
    settings.JOBS_LATENCY_TARGETS = {"tests.other": 0.001}
    written(queue="tests.other")
    queues = {queue["name"]: queue for queue in api.get("queues").json()["queues"]}
    assert (queues["tests.other"]["target_seconds"], queues["default"]["target_seconds"]) == (0.001, None)


def test_who_fills_a_queue_is_told(api: Api) -> None:
    for _ in range(3):
        written(tenant="acme")
    written(tenant="globex")
    found = api.get("queues/default/shares").json()
    assert (found["queue"], found["waiting"], found["tenants_in_all"]) == ("default", 4, 2)
    assert [(one["name"], one["waiting"], one["share"], one["weight"]) for one in found["tenants"]] == [
        ("acme", 3, 0.75, 1),
        ("globex", 1, 0.25, 1),
    ]
    assert found["tasks"][0]["weight"] is None
    assert api.get("queues/nowhere/shares").status_code == 404
