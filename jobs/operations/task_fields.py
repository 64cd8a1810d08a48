"""What a form asks for to run a task: a field for each argument, made of the task's signature and types.

Types are read as JSON Schema, so that whatever pydantic can check has a field; what has no type of its own is given as
JSON. What a person wrote becomes a value here, and is checked by `arguments.errors_in` as any client's.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import PydanticUserError, TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from jobs.operations.arguments import types_of
from jobs.operations.values import OddValue, read_json
from jobs.tasks.redaction import is_hidden
from jobs.tasks.task import JobTask

#: What a field left empty means where nothing is given then.
NOTHING = object()

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Kind(StrEnum):
    """How a value is written."""

    TEXT = "text"
    WHOLE = "whole"
    NUMBER = "number"
    YES_OR_NO = "yes or no"
    CHOICE = "choice"
    DATE = "date"
    JSON = "json"
    #: JSON where it reads as such, else text: for what has no type, or several.
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Field:
    """An argument, as a form asks for it.

    Attributes:
        hint: what it must be, in words.
        default: how its default is written; empty where it has none, or hides it.
        choices: what can be chosen, as it is written.
        least, most: the bounds of a number, or of a text's length.
        rest: whether it takes the arguments that have no field, as a JSON object.
        hidden: whether nobody is shown its value.
    """

    name: str
    kind: Kind
    required: bool
    hint: str
    default: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    rest: bool = False
    hidden: bool = False

    def read(self, text: str) -> Any:
        """Return the value that somebody wrote, or `NOTHING` where the argument is left out.

        Raises:
            ValueError: it cannot be read; the message is the rule.
        """
        if self.kind is Kind.YES_OR_NO:
            return bool(text)
        if self.kind is Kind.TEXT and text == "" and not self.required and self.default:
            return ""
        if text == "":
            return NOTHING
        if self.kind in {Kind.TEXT, Kind.DATE}:
            return text
        return _read(self.kind, text)


def fields_of(task: JobTask) -> list[Field]:
    """Return a field for each argument that can be given by name, in the order of the signature."""
    types = types_of(task)
    return [
        _field(task.name, parameter, types.get(name))
        for name, parameter in task.takes.parameters.items()
        if parameter.kind in _NAMED or parameter.kind is inspect.Parameter.VAR_KEYWORD
    ]


def by_position_only(task: JobTask) -> list[str]:
    """Return the arguments that must be given and have no name but their position: no form can give them."""
    return [
        name
        for name, parameter in task.takes.parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.default is parameter.empty
    ]


def _field(task_name: str, parameter: inspect.Parameter, adapter: TypeAdapter[Any] | None) -> Field:
    hidden = is_hidden(task_name, parameter.name)
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
        hint = "More arguments by their names: a JSON object"
        return Field(parameter.name, Kind.JSON, required=False, hint=hint, rest=True, hidden=hidden)
    schema, nullable = _plain(_schema(adapter))
    kind = _kind(schema, nullable=nullable)
    has_default = parameter.default is not parameter.empty
    default = _written(parameter.default, kind) if has_default and not hidden else ""
    return Field(
        parameter.name,
        kind,
        required=not has_default,
        hint=_hint(kind, schema, nullable=nullable),
        default=default,
        choices=_choices(schema, kind),
        least=schema.get("minimum", schema.get("minLength")),
        most=schema.get("maximum", schema.get("maxLength")),
        hidden=hidden,
    )


def _schema(adapter: TypeAdapter[Any] | None) -> dict[str, Any]:
    if adapter is None:
        return {}
    try:
        return adapter.json_schema()
    except (PydanticUserError, PydanticSerializationError, TypeError, ValueError):
        # What pydantic can check and JSON Schema cannot say: the check says what is wrong with it.
        return {}


def _plain(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return what a type is besides null, and whether null is one of its values."""
    definitions = schema.get("$defs", {})
    found = _resolved(schema, definitions)
    variants = [_resolved(one, definitions) for one in found.get("anyOf", ())]
    if not variants:
        return found, False
    others = [one for one in variants if one.get("type") != "null"]
    nullable = len(others) < len(variants)
    return (others[0] if len(others) == 1 else {"anyOf": others}), nullable


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return {**definitions[name], **schema} if name in definitions else dict(schema)


def _kind(schema: Mapping[str, Any], *, nullable: bool) -> Kind:
    if "enum" in schema or "const" in schema or (schema.get("type") == "boolean" and nullable):
        return Kind.CHOICE
    if schema.get("type") == "string":
        return Kind.DATE if schema.get("format") == "date" else Kind.TEXT
    kinds = {
        "integer": Kind.WHOLE,
        "number": Kind.NUMBER,
        "boolean": Kind.YES_OR_NO,
        "array": Kind.JSON,
        "object": Kind.JSON,
    }
    return kinds.get(str(schema.get("type")), Kind.ANY)


def _choices(schema: Mapping[str, Any], kind: Kind) -> tuple[str, ...]:
    if kind is not Kind.CHOICE:
        return ()
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else [True, False])
    return tuple(_written(value, kind) for value in values)


def _written(value: Any, kind: Kind) -> str:
    """Return how a value stands in its field; empty for null, and for what no JSON can say."""
    if value is None:
        return ""
    try:
        plain = to_jsonable_python(value)
    except PydanticSerializationError:
        return ""
    if kind is Kind.CHOICE:
        return json.dumps(plain, ensure_ascii=False)
    if kind is Kind.YES_OR_NO:
        return "on" if plain else ""
    if isinstance(plain, str) and (kind is not Kind.ANY or not _is_json(plain)):
        return plain
    return json.dumps(plain, ensure_ascii=False)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _read(kind: Kind, text: str) -> Any:
    try:
        value = read_json(text)
    except json.JSONDecodeError as exc:
        if kind is Kind.ANY:
            return text
        if kind in {Kind.WHOLE, Kind.NUMBER}:
            raise ValueError("must be a number") from None
        raise ValueError(f"is not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}") from None
    except OddValue as exc:
        raise ValueError(exc.rule) from None
    if kind in {Kind.WHOLE, Kind.NUMBER} and (not isinstance(value, (int, float)) or isinstance(value, bool)):
        raise ValueError("must be a number")
    return value


_FORMATS = {
    "date": "A date",
    "date-time": "A date and time, such as 2026-01-31T08:30:00+01:00",
    "time": "A time of day, such as 08:30:00",
    "duration": "A duration, such as PT90S",
    "uuid": "A UUID",
    "email": "An email address",
    "uri": "An address, such as https://example.com/",
}

_KINDS = {
    Kind.TEXT: "Text",
    Kind.WHOLE: "A whole number",
    Kind.NUMBER: "A number",
    Kind.YES_OR_NO: "Ticked for yes",
    Kind.CHOICE: "One of these",
    Kind.DATE: "A date",
    Kind.ANY: "JSON where it reads as such, else text",
}

_LISTS = {
    "string": ' of texts, such as ["one", "two"]',
    "integer": " of whole numbers, such as [1, 2]",
    "number": " of numbers, such as [1, 2.5]",
}


def _hint(kind: Kind, schema: Mapping[str, Any], *, nullable: bool) -> str:
    what = _json_words(schema) if kind is Kind.JSON else _FORMATS.get(str(schema.get("format")), _KINDS.get(kind, ""))
    words = [what, *_bounds(schema), *(["empty for null"] if nullable else ())]
    said = schema.get("description", "")
    return ", ".join(words) + (f". {said}" if said else "")


def _json_words(schema: Mapping[str, Any]) -> str:
    if schema.get("type") == "array":
        items = schema.get("items")
        of = _LISTS.get(str(items.get("type")), "") if isinstance(items, Mapping) else ""
        return f"A JSON list{of}"
    needed = schema.get("required")
    return f"A JSON object with {', '.join(needed)}" if needed else "A JSON object"


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    said = (
        ("minimum", "at least {}"),
        ("exclusiveMinimum", "above {}"),
        ("maximum", "at most {}"),
        ("exclusiveMaximum", "below {}"),
        ("minLength", "at least {} characters"),
        ("maxLength", "at most {} characters"),
        ("minItems", "at least {}"),
        ("maxItems", "at most {}"),
    )
    for name, words in said:
        if name in schema:
            yield words.format(f"{schema[name]:,}")
