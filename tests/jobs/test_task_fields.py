"""A form's fields, made of a task's signature: what each asks for, and what that which is typed means."""

import enum
import json
import uuid
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, strategies as st
from pydantic import BaseModel, Field as Rule
from typing_extensions import TypedDict

from jobs import job
from jobs.operations.arguments import errors_in
from jobs.operations.task_fields import NOTHING, Field, Kind, by_position_only, fields_of


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(TypedDict):
    x: int
    y: int


class Item(BaseModel):
    name: str


@job(name="tests.fields.typed")
def typed(  # type: ignore[no-untyped-def]
    text: str,
    whole: Annotated[int, Rule(ge=1, le=9)],
    number: float,
    flag: bool,
    size: Literal["small", "large"],
    colour: Colour,
    day: date,
    at: datetime,
    key: uuid.UUID,
    amount: Decimal,
    names: list[str],
    point: Point,
    item: Item,
    either: int | str,
    untyped,  # noqa: ANN001
    short: Annotated[str, Rule(max_length=20)] = "abc",
    maybe: str | None = None,
    perhaps: bool | None = None,
    strange: object = object(),
    **rest: int,
) -> None:
    """Do nothing."""


FIELDS = {field.name: field for field in fields_of(typed)}


@pytest.mark.parametrize(
    "name, kind",
    [
        ("text", Kind.TEXT),
        ("whole", Kind.WHOLE),
        ("number", Kind.NUMBER),
        ("flag", Kind.YES_OR_NO),
        ("size", Kind.CHOICE),
        ("colour", Kind.CHOICE),
        ("day", Kind.DATE),
        ("at", Kind.TEXT),
        ("key", Kind.TEXT),
        ("names", Kind.JSON),
        ("point", Kind.JSON),
        ("item", Kind.JSON),
        ("either", Kind.ANY),
        ("untyped", Kind.ANY),
        ("maybe", Kind.TEXT),
        ("perhaps", Kind.CHOICE),
        ("strange", Kind.ANY),
        ("rest", Kind.JSON),
    ],
)
def test_a_type_says_how_its_value_is_written(name: str, kind: Kind) -> None:
    assert FIELDS[name].kind is kind


@pytest.mark.parametrize(
    "name, hint",
    [
        ("whole", "A whole number, at least 1, at most 9"),
        ("short", "Text, at most 20 characters"),
        ("maybe", "Text, empty for null"),
        ("at", "A date and time, such as 2026-01-31T08:30:00+01:00"),
        ("key", "A UUID"),
        ("names", 'A JSON list of texts, such as ["one", "two"]'),
        ("point", "A JSON object with x, y"),
    ],
)
def test_a_field_says_its_rule_in_words(name: str, hint: str) -> None:
    assert FIELDS[name].hint == hint


@pytest.mark.parametrize(
    "name, typed_text, value",
    [
        ("text", "7", "7"),
        ("text", "", NOTHING),
        ("short", "", ""),
        ("maybe", "", NOTHING),
        ("whole", "7", 7),
        ("number", "1", 1),
        ("number", "1e3", 1000.0),
        ("flag", "", False),
        ("flag", "on", True),
        ("size", '"small"', "small"),
        ("perhaps", "true", True),
        ("names", '["a"]', ["a"]),
        ("either", "7", 7),
        ("either", "seven", "seven"),
        ("either", '"7"', "7"),
    ],
)
def test_what_is_typed_becomes_a_value(name: str, typed_text: str, value: Any) -> None:
    assert FIELDS[name].read(typed_text) == value


@pytest.mark.parametrize("name", ["whole", "number"])
@pytest.mark.parametrize("text", ["x", "true", "null", '"7"', "[7]", "Infinity"])
def test_a_number_that_is_none_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        FIELDS[name].read(text)


def test_choices_are_written_as_json_so_that_each_is_read_back() -> None:
    assert [FIELDS["size"].read(choice) for choice in FIELDS["size"].choices] == ["small", "large"]
    assert [FIELDS["colour"].read(choice) for choice in FIELDS["colour"].choices] == ["red", "blue"]
    assert [FIELDS["perhaps"].read(choice) for choice in FIELDS["perhaps"].choices] == [True, False]


def test_what_every_field_asks_for_is_what_the_api_takes() -> None:
    written = {
        "text": "x",
        "whole": "7",
        "number": "1.5",
        "flag": "on",
        "size": '"small"',
        "colour": '"red"',
        "day": "2026-01-31",
        "at": "2026-01-31T08:30:00+01:00",
        "key": str(uuid.uuid4()),
        "amount": '"1.50"',
        "names": "[]",
        "point": '{"x": 1, "y": 2}',
        "item": '{"name": "a"}',
        "either": "7",
        "untyped": "x",
    }
    values = {name: FIELDS[name].read(text) for name, text in written.items()}
    assert errors_in(typed, values) == []


def test_the_rest_is_checked_by_its_own_type() -> None:
    (error,) = [one for one in errors_in(typed, {"more": "x"}) if one.rule != "is required"]
    assert (error.field, error.rule) == ("kwargs.more", "Input should be a valid integer")


@job(name="tests.fields.by_position")
def placed(first: int, second: int = 2, /, third: int = 3) -> None:
    """Do nothing."""


def test_what_has_no_name_but_its_position_is_told() -> None:
    assert by_position_only(placed) == ["first"]
    assert [field.name for field in fields_of(placed)] == ["third"]


@given(st.sampled_from(Kind), st.text())
def test_whatever_is_typed_becomes_json_or_is_refused_in_words(kind: Kind, text: str) -> None:
    field = Field("x", kind, required=True, hint="")
    with suppress(ValueError):
        value = field.read(text)
        assert value is NOTHING or json.loads(json.dumps(value)) == value
