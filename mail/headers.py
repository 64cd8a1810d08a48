"""Header fields made from text, which arrive letter for letter (RFC 5322, RFC 2047). Pure.

Python's `email` package takes a text for one that came by mail: it decodes what looks like an encoded word, before the
fix of CVE-2024-6923 a line break in it too, and folds what comes out. So these fields encode and fold themselves. The
package keeps a value that has a `name` as it is, and has it written by its own `fold` (`email.policy.EmailPolicy`).
"""

import re
from email.header import Header
from email.policy import Policy
from typing import Self

from mail.addresses import Address, refuse_control_characters

#: The longest line with an encoded word, in characters without its end (RFC 2047, 2).
MAX_LINE = 76

#: What begins an encoded word; readers decode one even where the standard has none, as between quotation marks.
ENCODED_WORD = "=?"

_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class Field(str):
    """A header field: its text as a reader sees it, and the lines in which it travels."""

    __slots__ = ("lines", "name")

    name: str
    lines: list[str]

    def __new__(cls, name: str, text: str, lines: list[str]) -> Self:
        field = super().__new__(cls, text)
        field.name = name
        field.lines = lines
        return field

    def fold(self, *, policy: Policy) -> str:
        """Return the field as it stands in a message."""
        return f"{self.name}: {policy.linesep.join(self.lines)}{policy.linesep}"


def text(name: str, value: str) -> Field:
    """Return a field of free text, such as a subject. Raises InvalidMail for control characters in it."""
    refuse_control_characters(value, name.lower())
    return Field(name, value, (_folded if _is_plain(value) else _words)(name, value))


def mailbox(name: str, address: Address) -> Field:
    """Return a field that names one mailbox, with the name of who reads it. Raises InvalidMail as `text` does."""
    refuse_control_characters(address.name, "display name")
    if not address.name:
        return Field(name, str(address), [str(address)])
    lines = _phrase(name, address.name)
    where = f" <{address}>"
    taken = len(lines[-1]) + (len(name) + 2 if len(lines) == 1 else 0)
    if taken + len(where) > MAX_LINE:
        lines.append(where)
    else:
        lines[-1] += where
    return Field(name, f"{address.name}{where}", lines)


def _phrase(name: str, value: str) -> list[str]:
    if not _is_plain(value) or len(value) > MAX_LINE // 2:
        return _words(name, value)
    if _ATOMS.fullmatch(value):
        return [value]
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"']


def _folded(name: str, value: str) -> list[str]:
    """Return the value's lines as it is, broken before blanks (not by `Header`, which adds one to a long word)."""
    lines = [""]
    taken = len(name) + 2
    for part in re.split(r"(?<=[^ ])(?= )", value):
        if lines[-1] and taken + len(part) > MAX_LINE:
            lines.append("")
            taken = 0
        lines[-1] += part
        taken += len(part)
    return lines


def _words(name: str, value: str) -> list[str]:
    """Return the value's lines in encoded words, all of it: blanks between words would be lost."""
    return Header(value, "utf-8", maxlinelen=MAX_LINE, header_name=name).encode().split("\n")


def _is_plain(value: str) -> bool:
    """Return whether readers show the value as it is. Blanks at its ends would be lost."""
    return value.isascii() and ENCODED_WORD not in value and value == value.strip()
