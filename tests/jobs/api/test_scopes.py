"""Each scope opens what it names and nothing beside it: no answer, count or status tells what `read` would."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.models import DeadLetter, Job
from tests.jobs.api.conftest import Api
from tests.jobs.letters import NOTE, dead_letter, letter_of_a_dead_job
from tests.jobs.people import logged_in, person
from tests.jobs.rows import waiting
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

SECRET = "violin-4711"  # noqa: S105 (nobody's)
PUBLIC = tasks.public_note.name

ApiOf = Callable[..., Api]


def body(**changes: Any) -> dict[str, Any]:
    return {"task": PUBLIC, "kwargs": {"effect": SECRET}, **changes}


def staff(*permissions: str) -> Api:
    """Return the API as a member of staff uses it."""
    return Api(client=logged_in(person(*permissions)))


def operations(api: Api) -> list[Any]:
    """Do all that can be done to one job, letter, queue or schedule, and return the answers."""
    every, _ = IntervalSchedule.objects.get_or_create(every=5, period="minutes")
    schedule = PeriodicTask.objects.create(name=SECRET, task=NOTE, interval=every, kwargs=f'{{"effect": "{SECRET}"}}')
    jobs = [waiting(kwargs=f'{{"effect": "{SECRET}"}}', correlation_id=SECRET) for _ in range(2)]
    letter = letter_of_a_dead_job(kwargs={"effect": SECRET}, error=f"ValueError: {SECRET}")
    return [
        api.post(f"jobs/{jobs[0].pk}/retry"),
        api.post(f"jobs/{jobs[1].pk}/cancel"),
        api.post(f"dead-letters/{letter.pk}/discard"),
        api.post("queues/tests.other/pause"),
        api.post("queues/tests.other/resume"),
        api.post(f"schedules/{schedule.pk}/run"),
    ]


@pytest.mark.parametrize("as_person", [False, True])
def test_who_may_not_read_learns_nothing_by_operating(api_of: ApiOf, as_person: bool) -> None:
    answers = operations(staff("operate_job") if as_person else api_of("operate"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 201]
    assert [SECRET in answer.text for answer in answers] == [False] * 6
    assert set(answers[0].json()) == {"id", "task", "state"}
    assert set(answers[3].json()) == {"name", "paused"}


def test_who_may_read_as_well_is_answered_with_all_of_it(api_of: ApiOf) -> None:
    answers = operations(api_of("operate", "read"))
    assert [answer.json()["kwargs"] for answer in (answers[0], answers[5])] == [{"effect": SECRET}] * 2
    assert answers[3].json()["paused_by"] == "token test"


@pytest.mark.parametrize("filter", [{"q": SECRET}, {"error": SECRET}, {"kwargs": {"effect": SECRET}}])
@pytest.mark.parametrize("dry_run", [True, False])
def test_who_may_not_read_cannot_count_what_holds_a_text(api_of: ApiOf, filter: dict[str, Any], dry_run: bool) -> None:
    waiting(task=NOTE, kwargs=f'{{"effect": "{SECRET}"}}')
    action = {"action": "cancel", "filter": filter, "dry_run": dry_run}
    refused = api_of("operate").post("jobs/actions", action)
    assert (refused.status_code, Job.objects.get().state) == (403, "scheduled")
    assert "'read'" in refused.json()["detail"]
    assert api_of("operate", "read").post("jobs/actions", action).status_code == 200


def test_who_may_not_read_cannot_count_the_letters_that_hold_a_text(api_of: ApiOf) -> None:
    dead_letter(kwargs={"effect": SECRET})
    action = {"action": "discard", "filter": {"q": SECRET}}
    assert api_of("operate").post("dead-letters/actions", action).status_code == 403
    assert api_of("operate", "read").post("dead-letters/actions", action).json()["changed"] == 1


def test_who_may_not_read_operates_by_what_stands_outside_of_a_job(api_of: ApiOf) -> None:
    waiting(task=NOTE, queue="email")
    action = {"action": "cancel", "filter": {"queue": "email", "task": NOTE, "state": ["scheduled"]}}
    assert api_of("operate").post("jobs/actions", action).json()["changed"] == 1


@pytest.mark.parametrize("as_person", [False, True])
def test_who_may_not_submit_cannot_replay_with_arguments_of_their_own(api_of: ApiOf, as_person: bool) -> None:
    letter = dead_letter(task=PUBLIC, kwargs={"effect": "x"})
    api = staff("operate_job", "view_job") if as_person else api_of("operate", "read")
    assert api.post(f"dead-letters/{letter.pk}/replay", {"kwargs": {"effect": "y"}}).status_code == 403
    assert not Job.objects.exists()
    assert DeadLetter.objects.get().is_open
    assert api.post(f"dead-letters/{letter.pk}/replay", {}).status_code == 200


@pytest.mark.parametrize("task", [NOTE, tasks.plain.name])
def test_nobody_gives_arguments_to_a_task_that_is_not_public(api: Api, task: str) -> None:
    letter = dead_letter(task=task, kwargs={"effect": "x"})
    refused = api.post(f"dead-letters/{letter.pk}/replay", {"kwargs": {"effect": "y"}})
    assert (refused.status_code, Job.objects.count(), DeadLetter.objects.get().is_open) == (403, 0, True)


def test_who_may_not_read_cannot_have_shown_arguments_tried_out(api_of: ApiOf) -> None:
    letter = dead_letter(task=PUBLIC, kwargs={"effect": "x", "times": SECRET})
    guess = {"kwargs": {"effect": "x", "times": "[redacted]"}}
    refused = api_of("operate", "submit").post(f"dead-letters/{letter.pk}/replay", guess)
    assert (refused.status_code, SECRET in refused.text) == (422, False)


def test_another_clients_key_is_not_answered_with_its_job(api_of: ApiOf) -> None:
    first = api_of("submit").post("jobs", body(unique="order:1"))
    second = api_of("submit").post("jobs", body(kwargs={"effect": "y"}, unique="order:1"))
    assert (second.status_code, second.json()["kwargs"]) == (201, {"effect": "y"})
    assert first.json()["id"] != second.json()["id"]


def test_many_jobs_keep_to_the_keys_of_their_client_too(api_of: ApiOf) -> None:
    (first,) = api_of("submit").post("jobs/bulk", {"jobs": [body(unique="order:1")]}).json()["ids"]
    client = api_of("submit")
    ids = client.post("jobs/bulk", {"jobs": [body(unique="order:1"), body(unique="order:1")]}).json()["ids"]
    assert (len(set(ids)), first in ids) == (1, False)


def test_a_clients_key_does_not_meet_one_of_the_sites_own(api_of: ApiOf) -> None:
    own = tasks.public_note.apply_async((), {"effect": SECRET}, unique="order:1")
    answer = api_of("submit").post("jobs", body(unique="order:1"))
    assert (answer.status_code, answer.json()["id"] != own.id) == (201, True)


def test_who_may_not_read_is_told_of_a_waiting_job_only_which(api_of: ApiOf) -> None:
    tasks.public_note.apply_async((), {"effect": SECRET}, correlation_id=SECRET, unique=True)
    answer = api_of("submit").post("jobs", body(unique=True))
    assert (answer.status_code, set(answer.json())) == (200, {"id", "task", "state"})
    whole = api_of("submit", "read").post("jobs", body(unique=True))
    assert (whole.status_code, whole.json()["correlation_id"]) == (200, SECRET)


def test_a_request_sent_again_tells_who_may_not_read_only_which(api_of: ApiOf) -> None:
    client = api_of("submit")
    first = client.post("jobs", body(), Idempotency_Key="k").json()
    Job.objects.update(last_error=SECRET)
    again = client.post("jobs", body(), Idempotency_Key="k")
    assert (again.status_code, again.json()) == (200, {"id": first["id"], "task": PUBLIC, "state": "queued"})


@pytest.mark.parametrize("unique", [True, "the same key"])
def test_the_status_does_not_say_whether_somebody_else_gave_the_same_secret(api_of: ApiOf, unique: bool | str) -> None:
    tasks.discreet.apply_async((), {"name": "x", "secret": SECRET}, unique=unique)
    guess = api_of("submit")
    answers = [
        guess.post("jobs", {"task": tasks.discreet.name, "kwargs": {"name": "x", "secret": secret}, "unique": unique})
        for secret in (SECRET, "wrong")
    ]
    assert answers[0].status_code == 201
    # One's own job is: its arguments are known to whoever asks.
    assert answers[1].status_code == (201 if unique is True else 200)


def test_nor_does_it_by_the_tasks_own_rule(api_of: ApiOf) -> None:
    own = tasks.confide.delay("return", SECRET)
    client, body = api_of("submit", "read"), {"task": tasks.confide.name, "kwargs": {"how": "return", "secret": SECRET}}
    first, again = client.post("jobs", body), client.post("jobs", body)
    assert (first.status_code, first.json()["id"] != own.id) == (201, True)
    # A client's own job is: its arguments are known to whoever asks.
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


def test_the_schema_is_for_everybody_and_names_no_job(client: Client) -> None:
    waiting(task=NOTE, kwargs=f'{{"effect": "{SECRET}"}}')
    schema = client.get("/api/openapi.json")
    assert (schema.status_code, SECRET in schema.text, NOTE in schema.text) == (200, False, False)
