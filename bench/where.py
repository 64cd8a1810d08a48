"""Where the time of a job goes, and what would have to change for the bars that are missed: the prose of `where.md`."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_PROSE = Path(__file__).with_name("where.md")

_PROFILE, _CHANGES = "## Where the time goes", "## What would have to change"

#: What is said of the bars in whose titles these words stand.
_REASON = re.compile(r"^- \*\*(?P<words>.+?)\*\*: .+(?:\n  .+)*", re.MULTILINE)


def profile() -> str:
    """Return where the time goes."""
    text = _PROSE.read_text()
    return text[text.index(_PROFILE) : text.index(_CHANGES)].strip()


def changes(missed: Iterable[str]) -> str:
    """Return what would have to change for bars of these titles; empty where there is nothing to say."""
    said = list(dict.fromkeys(_reasons(missed)))
    return "\n".join([_CHANGES, "", *said]) if said else ""


def _reasons(missed: Iterable[str]) -> Iterator[str]:
    found = list(_REASON.finditer(_PROSE.read_text()))
    for title in missed:
        yield from (reason[0] for reason in [one for one in found if one["words"] in title][:1])
