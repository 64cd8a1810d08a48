"""`flow breakers`, `flow history`, `flow open`, `flow close`."""

import pytest

from jobs.cli.verb import Exit
from jobs.models import OperatorAction
from tests.jobs.breaker_rows import DEPENDENCY, ERROR, opened, state
from tests.jobs.commands.conftest import Run

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

NAME = DEPENDENCY.name


def test_breakers_are_listed(run: Run) -> None:
    opened(waiting=2)
    [line] = [line for line in run("flow", "breakers").out.splitlines() if line.startswith(NAME)]
    assert all(word in line for word in ("open", "1 min", " 2 ", ERROR))
    found = {one["name"]: one for one in run("flow", "breakers", "--json").answer["breakers"]}
    assert (found[NAME]["state"], found["search"]["state"]) == ("open", "closed")


def test_a_breaker_is_opened_and_closed(run: Run) -> None:
    assert run("flow", "open", NAME, "--reason", "it moves").out.startswith(f"Breaker {NAME} is open: ")
    assert state() == "open"
    assert run("flow", "close", NAME, "--json").answer == {"breaker": NAME, "state": "closed"}
    assert [one["reason"] for one in run("flow", "history", NAME, "--json").answer["history"]] == ["", "it moves"]
    assert "it moves" in run("flow", "history", NAME).out
    assert {action.actor.partition(" (")[2] for action in OperatorAction.objects.all()} == {"command line)"}


@pytest.mark.parametrize("verb", ["open", "close", "history"])
def test_a_slip_of_the_keyboard_names_what_there_is(run: Run, verb: str) -> None:
    ran = run("flow", verb, "smtq")
    assert ran.code is Exit.FAILED
    assert "There is no breaker 'smtq'. There are: " in ran.error
    assert "smtp" in ran.error
