"""Which group waits for a job: what its options say of that, in Celery's terms."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.core.job_ids import ledger_id


@dataclass(frozen=True, slots=True)
class Place:
    """A job's place in a group.

    Attributes:
        index: among the members; None where the job only leads to a member, as the first steps of a chain do.
        ways: to how many members it leads: a chain may end in a group.
    """

    group_id: uuid.UUID
    index: int | None
    ways: int = 1


def place_of(options: Mapping[str, Any] | None) -> Place | None:
    """Return the place of a job with these options; None where no group waits for it."""
    if not options:
        return None
    if chain := options.get("chain"):
        # Celery keeps the last link of a chain at the front.
        return _led_to(chain[0]) if isinstance(chain, Sequence) else None
    group_id = options.get("group_id")
    return Place(ledger_id(str(group_id)), int(options.get("group_index") or 0)) if group_id else None


def place_of_result(signature: Any) -> Place | None:
    """Return the place of what a signature comes to in the end."""
    return _led_to(signature)


def _led_to(signature: Any) -> Place | None:
    if not isinstance(signature, Mapping):
        return None
    kwargs, options = signature.get("kwargs"), signature.get("options")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    kind = signature.get("subtask_type")
    if kind == "group":
        return _together([_led_to(step) for step in _steps(kwargs)])
    # What a chain or a chord says itself, it gives to its last step, or its body, when it is called.
    if isinstance(options, Mapping) and (group_id := options.get("group_id")):
        return Place(ledger_id(str(group_id)), None)
    if kind == "chord":
        return _led_to(kwargs.get("body"))
    if kind == "chain":
        return next((place for step in reversed(_steps(kwargs)) if (place := _led_to(step))), None)
    return None


def _steps(kwargs: Mapping[str, Any]) -> list[Any]:
    steps = kwargs.get("tasks")
    return list(steps) if isinstance(steps, (list, tuple)) else []


def ids_in(signature: Any) -> list[uuid.UUID]:
    """Return the ids that the jobs of a signature will have, as far as it says them."""
    if not isinstance(signature, Mapping):
        return []
    kwargs, options = signature.get("kwargs"), signature.get("options")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    kind = signature.get("subtask_type")
    if kind in {"chain", "group"}:
        return [job_id for step in _steps(kwargs) for job_id in ids_in(step)]
    if kind == "chord":
        header = kwargs.get("header")
        inner = header if isinstance(header, (list, tuple)) else [header]
        return [job_id for one in (*inner, kwargs.get("body")) for job_id in ids_in(one)]
    task_id = options.get("task_id") if isinstance(options, Mapping) else None
    return [ledger_id(str(task_id))] if task_id else []


def _together(places: Sequence[Place | None]) -> Place | None:
    found = [place for place in places if place is not None]
    return Place(found[0].group_id, None, sum(place.ways for place in found)) if found else None


def is_awaited(options: Mapping[str, Any] | None) -> bool:
    """Return whether a chord's body takes the result of a job with these options."""
    chord = (options or {}).get("chord")
    if not isinstance(chord, Mapping) or (options or {}).get("chain"):
        return False
    return not chord.get("immutable")


def member_options(
    options: Mapping[str, Any] | None, number: int, body: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return the options of a member, or of what leads to one.

    Args:
        options: as they were given; what they say themselves stands.
        number: of the member in its group.
        body: of the group, which is named, so that the member's result is kept for it; None where none wants it.
    """
    named = {} if body is None or body.get("immutable") else {"chord": named_body(body)}
    kept = dict(options or {})
    if chain := kept.get("chain"):
        # Celery keeps the last link of a chain at the front.
        last, *others = chain
        said = {"group_index": number, **named, **(last.get("options") or {})}
        kept["chain"] = [{**last, "options": said}, *others]
    else:
        kept = {**named, **kept}
    return kept or None


def without_bodies(options: dict[str, Any]) -> dict[str, Any]:
    """Return options as a member's row keeps them: of a chord's body, which its group has, only what names it.

    Args:
        options: plain JSON of the caller's own; it is changed.
    """
    if isinstance(body := options.get("chord"), dict):
        options["chord"] = named_body(body)
    for signature in options.get("chain") or ():
        _shorten(signature)
    return options


def shortened(signature: dict[str, Any], group_id: str = "") -> dict[str, Any]:
    """Return a signature likewise, which is changed.

    Args:
        signature: plain JSON of the caller's own.
        group_id: of the group whose body it is: Celery writes that down in the body, which is no member of it.
    """
    _shorten(signature, group_id)
    return signature


def _shorten(signature: Any, group_id: str = "") -> None:
    if not isinstance(signature, dict):
        return
    options, kwargs = signature.get("options"), signature.get("kwargs")
    if isinstance(options, dict):
        without_bodies(options)
        if group_id and options.get("group_id") == group_id:
            del options["group_id"]
    if signature.get("subtask_type") in {"chain", "group", "chord"} and isinstance(kwargs, dict):
        header = kwargs.get("header")
        for inner in (*_steps(kwargs), kwargs.get("body"), *(header if isinstance(header, list) else [header])):
            _shorten(inner, group_id)


def named_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a chord's body what a member says of it: which it is, and whether it wants results."""
    options = body.get("options")
    task_id = options.get("task_id") if isinstance(options, dict) else None
    named = {"task": body.get("task"), "options": {"task_id": task_id}, "immutable": bool(body.get("immutable"))}
    return {**named, "args": [], "kwargs": {}, "subtask_type": None}
