"""How the dashboard shows numbers, arguments and tries: `{% load shell %}`."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from jobs.core.states import State
from jobs.models import Job
from jobs.operations import wording
from jobs.operations.wording import NOTHING, duration
from jobs.reports.counts import EXACT_UP_TO, Count
from jobs.tasks.redaction import ENCRYPTED, HIDDEN

register = template.Library()

_SIZES = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))

#: A text longer than this is folded in the tree of arguments.
LONG_TEXT = 400

_CODE = re.compile(r"`+([^`]+)`+")


@register.filter
def number(value: "int | Count | None") -> str:
    """Return a count: exact up to 10,000, then about: `~1.2 M`."""
    if value is None:
        return ""
    count = value.value if isinstance(value, Count) else int(value)
    if count <= EXACT_UP_TO:
        return f"{count:,}"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            shown = f"{count / size:.1f}" if count < 100 * size else f"{count / size:.0f}"
            return f"~{shown.removesuffix('.0')} {unit}"
    return f"{count:,}"


@register.filter
def rate(value: float) -> str:
    """Return jobs a minute, as exactly as it matters."""
    if not value:
        return "0"
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


@register.filter
def size(value: int) -> str:
    """Return bytes in the unit in which they are read: `210 MB`."""
    for unit, of in _SIZES:
        if value >= of:
            return f"{value / of:.1f} {unit}" if value < 10 * of else f"{value / of:.0f} {unit}"
    return f"{value} B"


@register.filter
def tries(job: Job) -> str:
    """Return the attempt of how many: `2/6`; nothing where none has begun."""
    return wording.tries(job) if job.attempt else NOTHING


@register.filter
def took(job: Job) -> str:
    """Return how long the latest attempt took, or takes."""
    if job.started_at is None:
        return NOTHING
    if job.finished_at is None and job.state != State.RUNNING:
        return NOTHING
    return duration(max((job.finished_at or timezone.now()) - job.started_at, timedelta()))


@register.filter
def one_line(arguments: Mapping[str, Any]) -> str:
    """Return arguments on one line."""
    return "  ".join(f"{name}={_short(value)}" for name, value in arguments.items())


@register.filter
def with_code(text: str) -> SafeString:
    """Return a docstring's words, with what stands between backticks in them as code."""
    parts = enumerate(_CODE.split(text))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in parts)
    )


@register.filter
def breakable(name: str) -> SafeString:
    """Return a dotted name that may be broken after its dots and underscores, and nowhere else while it fits."""
    parts = re.split(r"(?<=[._])", name)
    return format_html_join(mark_safe("<wbr>"), "{}", ((part,) for part in parts))


@register.inclusion_tag("jobs/parts/tree.html")
def tree(value: Any) -> dict[str, Any]:
    """Show a JSON value as a tree."""
    return {"nodes": _Tree().nodes(value)}


@register.filter
def as_json(value: Any) -> str:
    """Return a value as indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


#: A tree opens so many levels, since a template inside a template takes a long stack; what lies deeper stands there as
#: JSON. And it shows so many values: a page of all that 256 kB can hold would take seconds.
TREE_DEPTH, TREE_SIZE = 20, 2_000


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "…"


class _Tree:
    """A JSON value on its way into a page."""

    def __init__(self) -> None:
        self._left = TREE_SIZE

    def nodes(self, value: Any, depth: int = 0) -> list[dict[str, Any]]:
        pairs: Sequence[tuple[Any, Any]]
        if isinstance(value, Mapping):
            pairs = list(value.items())
        elif isinstance(value, list):
            pairs = list(enumerate(value))
        else:
            pairs = [("", value)]
        found = []
        for number, (name, item) in enumerate(pairs):
            if not self._left:
                found.append({"name": "", "kind": "other", "text": f"… {len(pairs) - number:,} more", "long": False})
                break
            self._left -= 1
            found.append(self._node(name, item, depth))
        return found

    def _node(self, name: Any, value: Any, depth: int) -> dict[str, Any]:
        if isinstance(value, (Mapping, list)) and value and depth < TREE_DEPTH:
            words = f"{len(value)} {'value' if isinstance(value, Mapping) else 'item'}{'s' * (len(value) != 1)}"
            return {"name": name, "inner": self.nodes(value, depth + 1), "words": words, "open": len(value) <= 12}
        if value == HIDDEN:
            return {"name": name, "kind": "hidden", "text": "hidden"}
        if value == ENCRYPTED:
            return {"name": name, "kind": "hidden", "text": "encrypted"}
        text = json.dumps(value, ensure_ascii=False)
        kind = "text" if isinstance(value, str) else "other"
        return {"name": name, "kind": kind, "text": text, "long": len(text) > LONG_TEXT, "start": text[:LONG_TEXT]}
