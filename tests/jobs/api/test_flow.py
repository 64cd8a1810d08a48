"""`/api/flow/breakers`."""

from collections.abc import Callable

import pytest

from jobs.models import OperatorAction
from tests.jobs.api.conftest import Api
from tests.jobs.breaker_rows import DEPENDENCY, ERROR, opened, state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

NAME = DEPENDENCY.name


def test_breakers_are_listed_with_how_they_stand(api: Api) -> None:
    opened(waiting=3)
    found = {one["name"]: one for one in api.get("flow/breakers").json()["breakers"]}
    one = found[NAME]
    assert (one["state"], one["reason"], one["waiting"], one["openings"]) == ("open", ERROR, 3, 1)
    assert one["sentence"].startswith(f"{NAME} is open since ")
    assert one["figures"]["longest_pause"] == 600
    assert (found["search"]["state"], found["search"]["opened_at"]) == ("closed", None)
    assert "search.index" in found["search"]["tasks"]


def test_a_breaker_is_opened_and_closed_and_tells_its_history(api: Api) -> None:
    assert api.post(f"flow/breakers/{NAME}/open", {"reason": "it moves"}).json()["opened_by"] == "token test"
    assert state() == "open"
    assert api.post(f"flow/breakers/{NAME}/close").json()["state"] == "closed"
    history = api.get(f"flow/breakers/{NAME}").json()["history"]
    assert [(one["state"], one["reason"], one["actor"]) for one in history] == [
        ("closed", "", "token test"),
        ("open", "it moves", "token test"),
    ]
    assert OperatorAction.objects.filter(action__endswith="breaker").count() == 2


def test_whoever_may_only_operate_sees_no_more_than_the_state(api_of: Callable[..., Api]) -> None:
    assert api_of("operate").post(f"flow/breakers/{NAME}/open").json() == {"name": NAME, "state": "open"}
    assert api_of("operate").get("flow/breakers").status_code == 403
    assert api_of("read").post(f"flow/breakers/{NAME}/close").status_code == 403


@pytest.mark.parametrize("path", ["", "/open", "/close"])
def test_a_breaker_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    answer = api.post(f"flow/breakers/nobody{path}") if path else api.get("flow/breakers/nobody")
    assert answer.status_code == 404
    assert "'nobody'" in answer.json()["detail"]


def test_a_reason_that_is_too_long_is_refused(api: Api) -> None:
    assert api.post(f"flow/breakers/{NAME}/open", {"reason": "x" * 501}).status_code == 422
