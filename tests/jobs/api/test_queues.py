"""`/api/queues`, `/api/workers`, `/api/schedules`."""

import json

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.models import Job, Queue
from tests.jobs.api.conftest import Api
from tests.jobs.letters import NOTE, dead_letter
from tests.jobs.rows import written
from tests.jobs.worker_rows import worker

pytestmark = pytest.mark.django_db(transaction=True)


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
