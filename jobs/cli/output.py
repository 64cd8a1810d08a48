"""What the commands print: tables for people, JSON for scripts."""

import json
import shutil
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import OutputWrapper
from django.utils import timezone

from jobs.operations.wording import ago, duration

#: Stands where there is nothing to show.
NOTHING = "-"

#: A table for a program or a file is not cut, and a cell wider than this pads no other row.
ALIGNED = 60

#: Categories of signs that can drive a terminal, or turn what follows them round.
_DRIVING = frozenset({"Cc", "Cf"})


class Output:
    """Where a command prints. `as_json` says which of both the caller wants."""

    def __init__(self, stream: OutputWrapper, *, as_json: bool = False) -> None:
        self.stream = stream
        self.as_json = as_json

    def line(self, text: str = "") -> None:
        """Print a line for people; nothing where JSON is wanted."""
        if not self.as_json:
            self.stream.write(text)

    def json(self, value: Any) -> None:
        """Print the answer for scripts; nothing where tables are wanted."""
        if self.as_json:
            self.stream.write(json.dumps(value, indent=2, ensure_ascii=False))

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, below: bool = False
    ) -> None:
        """Print rows under their columns' names, or `empty` where there are none.

        A name that ends in `>` is that of a column of numbers, set to the right. A table that stands `below` a line and
        explains it is indented, and no terminal is too narrow for its words.
        """
        indent = "  " if below else ""
        cells = [[shown(value) for value in row] for row in rows]
        if not cells:
            self.line(indent + empty)
            return
        names = [name.removesuffix(">") for name in columns]
        widths = [max(width(row[index]) for row in [names, *cells]) for index in range(len(names))]
        room = shutil.get_terminal_size().columns if self.stream.isatty() else None
        if room is None:
            widths = [min(one, ALIGNED) for one in widths]
        for row in [names, *cells]:
            fields = [
                _padded(cell, widths[index], to_the_right=columns[index].endswith(">"))
                for index, cell in enumerate(row)
            ]
            line = "  ".join(fields).rstrip()
            self.line(indent + line if room is None or below else _cut(line, room))

    def pairs(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print names and values, one a line."""
        shown_pairs = [(name, shown(value)) for name, value in pairs]
        room = max(len(name) for name, _ in shown_pairs)
        for name, value in shown_pairs:
            self.line(f"{name:<{room}}  {value}".rstrip())


def shown(value: object) -> str:  # noqa: PLR0911 (one line for each kind of value)
    """Return a value as a person reads it, on one line and without a sign that moves the cursor."""
    match value:
        case None | "":
            return NOTHING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case datetime():
            return ago(value, timezone.now())
        case timedelta():
            return duration(value)
        case dict() | list():
            return one_line(json.dumps(value, ensure_ascii=False))
    return one_line(str(value))


def one_line(text: str) -> str:
    """Return text without line breaks and control characters: what failed must not drive the terminal."""
    return "".join(sign if unicodedata.category(sign) not in _DRIVING else " " for sign in " ".join(text.split()))


def printable(text: str) -> str:
    """Return text of several lines without other control characters."""
    return "\n".join(one_line_kept(line) for line in text.splitlines())


def one_line_kept(line: str) -> str:
    """Return one line as it is indented, without control characters."""
    return "".join(sign if unicodedata.category(sign) not in _DRIVING else " " for sign in line)


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text if not unicodedata.combining(sign)
    )


def _padded(cell: str, room: int, *, to_the_right: bool) -> str:
    space = " " * (room - width(cell))
    return space + cell if to_the_right else cell + space


def _cut(line: str, room: int) -> str:
    if width(line) <= room:
        return line
    if line.isascii():
        return line[: room - 1] + "…"
    columns, kept = 0, 0
    for sign in line:
        columns += width(sign)
        if columns > room:
            return line[:kept] + "…"
        # What is cut leaves a column to say so.
        kept += columns < room
    return line
