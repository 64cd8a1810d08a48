"""Circuit breakers in the admin."""

import pytest

from jobs.ledger import breakers
from tests.jobs.breaker_rows import DEPENDENCY, ERROR, opened, state
from tests.jobs.people import operator, viewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

LIST = "/admin/jobs/circuitbreaker/"


def test_breakers_and_their_changes_are_shown_and_cannot_be_edited() -> None:
    opened()
    client = operator()
    for address in (LIST, "/admin/jobs/breakerchange/"):
        shown = client.get(address).content.decode()
        assert DEPENDENCY.name in shown
        assert ERROR in shown
    assert client.get(f"{LIST}add/").status_code == 403


@pytest.mark.parametrize("action, becomes", [("open", "open"), ("close", "closed")])
def test_an_operator_opens_and_closes_those_chosen(action: str, becomes: str) -> None:
    if action == "open":
        breakers.add([DEPENDENCY.name])
    else:
        opened()
    operator().post(LIST, {"action": action, "_selected_action": [DEPENDENCY.name]})
    assert state() == becomes


def test_whoever_may_only_look_is_offered_no_action() -> None:
    opened()
    viewer().post(LIST, {"action": "close", "_selected_action": [DEPENDENCY.name]})
    assert state() == "open"
