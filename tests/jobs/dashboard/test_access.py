"""Who sees the dashboard, and who may act: the server decides, whatever a page offers."""

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from jobs.core.states import State
from jobs.dashboard.pages import ROOMS
from jobs.models import Job, OperatorAction, Queue
from tests.jobs import people
from tests.jobs.rows import in_state

pytestmark = pytest.mark.any_database

PAGES = [reverse(f"jobs:{name}") for name, _, _ in ROOMS] + [reverse("jobs:dead-letter-list")]

SOME = uuid.UUID(int=7)
ACTIONS = [
    *(reverse(f"jobs:{name}") for name in ("retry", "cancel", "discard-jobs", "replay", "discard")),
    *(reverse(f"jobs:{name}", args=["email"]) for name in ("pause", "resume")),
    *(reverse(f"jobs:{name}", args=[1]) for name in ("run", "enable", "disable")),
    reverse("jobs:replay-corrected", args=[SOME]),
]


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_every_page_and_no_action(viewer: Client, page: str) -> None:
    in_state(State.DEAD)
    answer = viewer.get(page)
    assert answer.status_code == 200
    assert b'method="post"' not in answer.content
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("page", PAGES)
def test_nobody_else_sees_a_page(db: None, page: str) -> None:
    assert Client().get(page).url == f"/log-in/?next={page}"  # type: ignore[attr-defined]
    assert people.logged_in(people.person("view_job", staff=False)).get(page).status_code == 403
    assert people.logged_in(people.person(email="staff@example.com")).get(page).status_code == 403


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_is_refused_by_the_server(viewer: Client, action: str) -> None:
    assert viewer.post(action).status_code == 403
    assert Client().post(action).status_code == 302
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_are_posted_and_need_a_token_against_forgery(db: None, action: str) -> None:
    user = people.person("view_job", "operate_job")
    assert people.logged_in(user).get(action).status_code == 405
    assert people.logged_in(user, csrf=True).post(action).status_code == 403


def test_what_an_operator_does_is_recorded_under_their_address(operator: Client) -> None:
    operator.post(reverse("jobs:pause", args=["email"]))
    assert Queue.objects.get().paused_by == "bob@example.com"
    action = OperatorAction.objects.get()
    assert (action.actor, action.action, action.target) == ("bob@example.com", "pause", {"queue": "email"})


def test_no_page_has_anything_inline_that_the_policy_forbids(operator: Client) -> None:
    job = in_state(State.DEAD)
    for page in [*PAGES, reverse("jobs:job", args=[job.pk])]:
        text = operator.get(page).content.decode()
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
    assert Job.objects.count() == 1
