"""`/api/dead-letters`."""

import uuid
from typing import Any

import pytest

from jobs.models import DeadLetter, Job
from tests.jobs.api.conftest import Api, errors
from tests.jobs.letters import NOTE, dead_letter, job_of, letter_of_a_dead_job

PUBLIC = "tests.tasks_app.tasks.public_note"

pytestmark = pytest.mark.django_db(transaction=True)


def ids(response: Any) -> list[str]:
    return [letter["id"] for letter in response.json()["dead_letters"]]


@pytest.mark.parametrize("query", [{"queue": "email"}, {"task": NOTE}, {"reason": "poison"}, {"q": "violin"}])
def test_a_filter_leaves_what_matches(api: Api, query: dict[str, str]) -> None:
    wanted = dead_letter(queue="email", task=NOTE, reason="poison", kwargs={"effect": "violin"})
    dead_letter()
    assert ids(api.get("dead-letters", **query)) == [str(wanted.pk)]


def test_letters_come_in_pages(api: Api) -> None:
    letters = [str(dead_letter(minutes_ago=age).pk) for age in range(5)]
    first = api.get("dead-letters", limit=3)
    second = api.get("dead-letters", limit=3, cursor=first.json()["next_cursor"])
    assert ids(first) + ids(second) == letters


def test_a_letter_is_shown(api: Api) -> None:
    letter = letter_of_a_dead_job()
    answer = api.get(f"dead-letters/{letter.pk}").json()
    assert (answer["job_id"], answer["reason"], answer["attempt"]) == (str(letter.job_id), "exhausted", 6)
    assert api.get(f"dead-letters/{uuid.uuid4()}").status_code == 404


def test_what_nobody_can_read_has_no_arguments(api: Api) -> None:
    letter = dead_letter(task="", reason="unreadable", body=b"{", content_type="text/plain")
    DeadLetter.objects.update(args=None, kwargs=None)
    assert api.get(f"dead-letters/{letter.pk}").json()["kwargs"] is None


def test_a_replay_puts_the_job_back_once(api: Api) -> None:
    letter = letter_of_a_dead_job()
    assert api.post(f"dead-letters/{letter.pk}/replay").json() == {"job_id": str(letter.job_id)}
    assert job_of(letter).state == "queued"
    again = api.post(f"dead-letters/{letter.pk}/replay")
    assert again.status_code == 409
    assert "force" in again.json()["detail"]
    assert ids(api.get("dead-letters")) == []
    assert ids(api.get("dead-letters", open="false")) == [str(letter.pk)]


def test_a_replay_with_other_arguments_is_a_new_job(api: Api) -> None:
    letter = dead_letter(task=PUBLIC, kwargs={"effect": 1})
    wrong = api.post(f"dead-letters/{letter.pk}/replay", {"kwargs": {"effect": 2}})
    assert errors(wrong) == [("kwargs.effect", 2, "Input should be a valid string")]
    answer = api.post(f"dead-letters/{letter.pk}/replay", {"kwargs": {"effect": "right"}})
    assert Job.objects.get(pk=answer.json()["job_id"]).kwargs == {"effect": "right"}
    again = api.post(f"dead-letters/{letter.pk}/replay", {"kwargs": {"effect": "right"}})
    assert again.status_code == 409


def test_what_is_hidden_keeps_its_value_in_a_replay(api: Api) -> None:
    letter = dead_letter(task="tests.tasks_app.tasks.discreet", args=["x"], kwargs={"secret": "hunter2"})
    shown = api.get(f"dead-letters/{letter.pk}").json()["kwargs"]
    answer = api.post(f"dead-letters/{letter.pk}/replay", {"kwargs": {**shown, "name": "y"}})
    assert Job.objects.get(pk=answer.json()["job_id"]).kwargs == {"name": "y", "secret": "hunter2"}


def test_a_letter_of_an_unknown_task_cannot_be_corrected(api: Api) -> None:
    letter = dead_letter(task="gone")
    assert api.post(f"dead-letters/{letter.pk}/replay", {"kwargs": {}}).status_code == 422


def test_a_letter_is_discarded(api: Api) -> None:
    letter = letter_of_a_dead_job()
    assert api.post(f"dead-letters/{letter.pk}/discard").json()["discarded_at"] is not None
    assert api.post(f"dead-letters/{letter.pk}/discard").status_code == 409
    assert job_of(letter).state == "dead"


def test_all_that_match_are_counted_first_and_then_replayed(api: Api) -> None:
    letters = [letter_of_a_dead_job(queue="email") for _ in range(3)]
    letter_of_a_dead_job()
    body = {"action": "replay", "filter": {"queue": "email"}, "dry_run": True}
    assert api.post("dead-letters/actions", body).json() == {"matched": 3, "changed": 0, "dry_run": True}
    body["dry_run"] = False
    assert api.post("dead-letters/actions", body).json()["changed"] == 3
    assert {job_of(letter).state for letter in letters} == {"queued"}
    body = {"action": "discard", "filter": {"reason": "exhausted"}}
    assert api.post("dead-letters/actions", body).json()["changed"] == 1


def test_an_action_must_say_which(api: Api) -> None:
    dead_letter()
    assert api.post("dead-letters/actions", {"action": "discard", "filter": {}}).status_code == 422
    assert DeadLetter.objects.get().is_open


def test_those_that_do_not_fit_are_reported_one_by_one(api: Api) -> None:
    odd = dead_letter(task=NOTE, args=["a", "b"])
    dead_letter(task=NOTE, args=["fits"])
    answer = api.post("dead-letters/actions", {"action": "replay", "filter": {"task": NOTE}}).json()
    assert (answer["matched"], answer["changed"]) == (2, 1)
    ((refused),) = answer["refused"]
    assert refused["id"] == str(odd.pk)
    assert "positional argument" in refused["why"]
