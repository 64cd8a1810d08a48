"""Email addresses: the grammar we accept, and their one canonical form. No I/O.

Accepted is what mail servers accept in practice: `dot-atom@host`, Unicode allowed on both sides (RFC 6531).
Quoted local parts and address literals are refused: nobody signs up with one, and both have a history of
slipping commands past parsers.
"""

import re
import string
import unicodedata
from dataclasses import dataclass

import idna

from mail.errors import InvalidMail

MAX_LOCAL_OCTETS = 64
MAX_ADDRESS_OCTETS = 254

_ASCII_ATOM = frozenset(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-")
_HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

#: Control characters, line and paragraph separators, lone surrogates: each can end a header line somewhere on
#: the way, or cannot be sent at all.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox, checked and canonical, and optionally the name of who reads it.

    Attributes:
        local: the part before the @, in Unicode normal form C.
        domain: the part after it, lower case and ASCII (IDNA), as servers want it.
        name: the display name, or "".
    """

    local: str
    domain: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take mail for it."""
        return not self.local.isascii()


def parse(text: str, name: str = "") -> Address:
    """Return the address in `text`. Raises InvalidMail naming the rule it breaks."""
    normal = unicodedata.normalize("NFC", text)
    local, at, domain = normal.rpartition("@")
    if not at:
        raise _invalid(text, "it needs an @ between mailbox and host")
    refuse_control_characters(normal, "address")
    if not all(_is_atom(part) for part in local.split(".")):
        raise _invalid(
            text,
            "the part before the @ has a character that is not allowed there, or a stray dot",
        )
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        raise _invalid(text, f"the part before the @ is longer than {MAX_LOCAL_OCTETS} bytes")
    address = Address(
        local,
        _ascii_host(domain, text),
        refuse_control_characters(name, "display name"),
    )
    if len(str(address).encode()) > MAX_ADDRESS_OCTETS:
        raise _invalid(text, f"it is longer than {MAX_ADDRESS_OCTETS} bytes")
    return address


def canonical(text: str) -> str:
    """Return the one spelling under which an account's address is stored, looked up and shown.

    Lower case throughout: local parts may in theory differ by case, but no mail provider lets them. Not
    `casefold`, which would make one address of two (`straße`, `strasse`). Raises InvalidMail.
    """
    address = parse(text)
    address = parse(f"{address.local.lower()}@{address.domain}")
    return f"{address.local}@{idna.decode(address.domain)}"


def refuse_control_characters(text: str, what: str) -> str:
    """Return `text` unchanged. Raises InvalidMail if it could break out of a header line."""
    for position, character in enumerate(text):
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
            raise InvalidMail(
                f"The {what} has the control character U+{ord(character):04X} at position {position}: "
                "line breaks and control characters are not allowed there."
            )
    return text


def _is_atom(part: str) -> bool:
    # Of Unicode only letters, marks and digits: whatever is invisible makes two addresses look like one.
    return part != "" and all(
        character in _ASCII_ATOM or (not character.isascii() and unicodedata.category(character)[0] in "LMN")
        for character in part
    )


def _ascii_host(domain: str, text: str) -> str:
    try:
        host = idna.encode(domain, uts46=True).decode("ascii").lower()
    except UnicodeError as exc:  # idna.IDNAError is one.
        raise _invalid(text, "the part after the @ is not a host name") from exc
    if not all(_HOST_LABEL.fullmatch(label) for label in host.split(".")):
        raise _invalid(text, "the part after the @ is not a host name")
    return host


def _invalid(text: str, rule: str) -> InvalidMail:
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    return InvalidMail(f"{shown!r} is not an email address: {rule}.")
