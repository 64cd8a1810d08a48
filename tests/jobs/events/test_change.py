"""A change on the wire."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from jobs.core.states import State
from jobs.events.change import Change, Position, Wanted, events, tick

ID = uuid.UUID(int=42)
AT = datetime(2026, 11, 22, 1, 2, 3, 456789, tzinfo=UTC)


#: The group to which the job of `change` belongs.
GROUP = uuid.UUID(int=7)


def change(**values: object) -> Change:
    base = {
        "position": Position(AT, ID),
        "state": State.QUEUED,
        "queue": "q",
        "task": "t",
        "body": {"id": "x", "group_id": str(GROUP)},
    }
    return Change(**{**base, **values})  # type: ignore[arg-type]


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.uuids())  # noqa: DTZ001
def test_an_id_is_read_back(moment: datetime, job_id: uuid.UUID) -> None:
    position = Position(moment.replace(tzinfo=UTC), job_id)
    assert Position.read(str(position)) == position


@pytest.mark.parametrize("text", ["", "42", "x-y", "1-0193", "9" * 30 + "-" + "0" * 32, "9" * 19 + "-" + "0" * 32])
def test_what_is_no_id_is_none(text: str) -> None:
    assert Position.read(text) is None


@given(st.dictionaries(st.text(), st.text()))
def test_an_event_is_one_block_whatever_is_in_it(body: dict[str, str]) -> None:
    written = change(body=body).event.decode("utf-8")
    head, name, data = written.removesuffix("\n\n").split("\n", 2)
    assert head == f"id: {Position(AT, ID)}"
    assert name == "event: job"
    assert not any(sign in data for sign in "\r\n")
    json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize(
    "wanted, is_wanted",
    [
        (Wanted(), True),
        (Wanted(states=frozenset({State.QUEUED})), True),
        (Wanted(states=frozenset({State.DEAD})), False),
        (Wanted(queues=frozenset({"q", "r"})), True),
        (Wanted(queues=frozenset({"r"})), False),
        (Wanted(tasks=frozenset({"t"}), jobs=frozenset({ID})), True),
        (Wanted(tasks=frozenset({"t"}), jobs=frozenset({uuid.UUID(int=1)})), False),
        (Wanted(groups=frozenset({GROUP})), True),
        (Wanted(groups=frozenset({uuid.UUID(int=1)})), False),
    ],
)
def test_a_stream_gets_what_it_wants(wanted: Wanted, is_wanted: bool) -> None:
    assert (change() in wanted) is is_wanted
    assert bool(events([change()], wanted)) is is_wanted


def test_a_tick_counts() -> None:
    written = tick([change()], Counter({State.QUEUED: 3, State.DEAD: 1})).decode()
    assert '{"changes":4,"states":{"queued":3,"dead":1}}' in written
