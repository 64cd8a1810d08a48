"""The states of a job and their transitions are those of the design."""

import pytest

from jobs.core.states import FINAL, INITIAL, TRANSITIONS, WAITING, State, sources
from jobs.models import Job

#: The table of ARCHITECTURE.md, row by row.
TABLE = [
    ("scheduled retrying", "queued"),
    ("queued", "running"),
    ("running", "succeeded"),
    ("running", "retrying"),
    ("running", "dead"),
    ("running", "scheduled"),
    ("running", "queued retrying dead"),
    ("running", "cancelled"),
    ("scheduled queued retrying", "cancelled dead"),
    ("dead cancelled succeeded", "queued"),
]


def test_the_transitions_are_those_of_the_table() -> None:
    table = {
        (State(before), State(after)) for left, right in TABLE for before in left.split() for after in right.split()
    }
    assert {(before, after) for before, targets in TRANSITIONS.items() for after in targets} == table


def test_every_state_is_listed_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(state in INITIAL or sources(state) for state in State)


def test_a_state_is_final_unless_work_goes_on_from_it_by_itself() -> None:
    assert {state for state in State if TRANSITIONS[state] == {State.QUEUED}} == FINAL
    assert not (FINAL & WAITING)
    assert not (FINAL & INITIAL)


@pytest.mark.parametrize("state", State)
def test_sources_are_the_transitions_read_backwards(state: State) -> None:
    assert sources(state) == {before for before in State if state in TRANSITIONS[before]}


def test_every_state_fits_its_column() -> None:
    length = Job._meta.get_field("state").max_length
    assert length is not None
    assert all(len(state) <= length for state in State)
