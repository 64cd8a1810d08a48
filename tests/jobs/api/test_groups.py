"""`/api/groups`: how a group stands, retry what died, cancel the rest."""

import uuid
from collections.abc import Callable

import pytest

from jobs.core.states import State
from jobs.models import Job
from tests.jobs.api.conftest import Api
from tests.jobs.group_rows import group_of
from tests.tasks_app.canvas import listed, tell

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


def test_a_group_is_shown_with_its_members_by_state(api: Api) -> None:
    group = group_of(5, succeeded=2, dead=1)
    shown = api.get(f"groups/{group.pk}").json()
    assert (shown["id"], shown["size"], shown["to_come"]) == (str(group.pk), 5, 0)
    assert {state: number for state, number in shown["states"].items() if number} == {
        "queued": 2,
        "succeeded": 2,
        "dead": 1,
    }
    assert shown["seconds_left"] > 0
    assert shown["follows"] == {"body": listed.name, "on_dead": tell.name}
    assert (shown["ended_at"], shown["followed_at"]) == (None, None)


def test_what_died_is_retried_and_the_rest_cancelled(api: Api) -> None:
    group = group_of(4, succeeded=1, dead=2)
    assert api.post(f"groups/{group.pk}/retry").json() == {"matched": 2, "changed": 2, "left": 0}
    assert api.post(f"groups/{group.pk}/cancel").json() == {"matched": 3, "changed": 3, "left": 0}
    states = sorted(Job.objects.filter(group_id=group.pk).values_list("state", flat=True))
    assert states == [State.CANCELLED] * 3 + [State.SUCCEEDED]


def test_jobs_are_listed_and_acted_upon_by_group(api: Api) -> None:
    group = group_of(3)
    group_of(2)
    listed_jobs = api.get("jobs", group_id=group.pk).json()["jobs"]
    assert {job["group_id"] for job in listed_jobs} == {str(group.pk)}
    body = {"action": "cancel", "filter": {"group_id": str(group.pk)}}
    assert api.post("jobs/actions", body).json()["changed"] == 3


@pytest.mark.parametrize("path", ["", "/retry", "/cancel"])
def test_a_group_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    address = f"groups/{uuid.uuid4()}{path}"
    assert (api.post(address) if path else api.get(address)).status_code == 404


@pytest.mark.parametrize("scope, status", [("read", 403), ("operate", 200)])
def test_only_who_may_operate_changes_a_group(api_of: Callable[..., Api], scope: str, status: int) -> None:
    assert api_of(scope).post(f"groups/{group_of(2).pk}/cancel").status_code == status
