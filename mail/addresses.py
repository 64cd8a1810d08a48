"""Email addresses: the grammar we accept, and their one canonical form. No I/O.

Accepted is what mail servers accept in practice: `dot-atom@host`, Unicode allowed on both sides (RFC 6531).
Quoted local parts and address literals are refused: nobody signs up with one, and both have a history of
slipping commands past parsers.
"""

import re
import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from mail import hosts
from mail.errors import InvalidMail

MAX_LOCAL_OCTETS = 64
MAX_ADDRESS_OCTETS = 254
MAX_NAME_CHARACTERS = 200

#: A longer text is not even looked at. Normal form C makes one character of four at most.
_MAX_CHARACTERS = 4 * MAX_ADDRESS_OCTETS

#: Its characters are all allowed before an @. But many programs decode it, into whatever its writer liked.
_ENCODED_WORD = re.compile(r"=\?.*\?=")

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
    """Return the address in `text`. Raises InvalidMail naming the rule that it or the name breaks."""
    if len(text) > _MAX_CHARACTERS:
        raise _invalid(text, f"it is longer than {MAX_ADDRESS_OCTETS} bytes")
    normal = unicodedata.normalize("NFC", text)
    local, at, host = normal.rpartition("@")
    if not at:
        raise _invalid(text, "it needs an @ between mailbox and host")
    refuse_control_characters(normal, "address")
    _check_local_part(local, text)
    address = Address(local, _ascii_host(host, text), _checked_name(name))
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
    return f"{address.local}@{hosts.to_unicode(address.domain)}"


def refuse_control_characters(text: str, what: str) -> str:
    """Return `text` unchanged. Raises InvalidMail if it could break out of a header line."""
    for position, character in enumerate(text):
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES:
            raise InvalidMail(
                f"The {what} has the control character U+{ord(character):04X} at position {position}: "
                "line breaks and control characters are not allowed there."
            )
    return text


def _checked_name(name: str) -> str:
    if len(name) > MAX_NAME_CHARACTERS:
        raise InvalidMail(f"The display name has {len(name)} characters; at most {MAX_NAME_CHARACTERS} are allowed.")
    return refuse_control_characters(name, "display name")


def _check_local_part(local: str, text: str) -> None:
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        raise _invalid(text, f"the part before the @ is longer than {MAX_LOCAL_OCTETS} bytes")
    if _ENCODED_WORD.search(local):
        raise _invalid(text, "the part before the @ holds an encoded word, which mail programs decode")
    # Unicode's security profile for addresses (UTS #39, 3.3): a look-alike such as a full-width @ is not in NFKC.
    if unicodedata.normalize("NFKC", local) != local:
        raise _invalid(text, "the part before the @ has a character that stands for others")
    try:
        # The host is judged by `hosts`: the package refuses `localhost`, `.local` and `ab--cd.com`, which receive mail.
        validate_email(f"{local}@example.com", allow_smtputf8=True, check_deliverability=False)
    except EmailNotValidError as exc:
        raise _invalid(
            text,
            "the part before the @ has a character that is not allowed there, or a stray dot",
        ) from exc


def _ascii_host(host: str, text: str) -> str:
    try:
        return hosts.to_ascii(host)
    except ValueError as exc:  # idna.IDNAError is one.
        raise _invalid(text, "the part after the @ is not a host name") from exc


def _invalid(text: str, rule: str) -> InvalidMail:
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    return InvalidMail(f"{shown!r} is not an email address: {rule}.")
