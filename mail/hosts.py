"""Host names as the DNS has them (IDNA 2008, RFC 5891) and as people read them. Pure."""

import re
import unicodedata

import idna

#: RFC 1035, 2.3.4, without the dot at the end and the root's empty label.
MAX_HOST_OCTETS = 253

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})


def to_ascii(host: str) -> str:
    """Return `host` in lower case and ASCII. Raises ValueError where it is no host name."""
    # Checked first: the time that idna takes grows with the square of the length.
    if len(host) > MAX_HOST_OCTETS:
        raise ValueError(f"a host name has at most {MAX_HOST_OCTETS} characters")
    labels = idna.uts46_remap(host, std3_rules=False).split(".")
    encoded = ".".join(_encoded(label) for label in labels)
    if len(encoded) > MAX_HOST_OCTETS or not all(_LABEL.fullmatch(label) for label in encoded.split(".")):
        raise ValueError(f"{host!r} is not a host name")
    _check_direction(to_unicode(encoded))
    return encoded


def to_unicode(host: str) -> str:
    """Return a host name in ASCII as people read it. Raises ValueError where it is none."""
    return ".".join(idna.ulabel(label) if _is_encoded(label) else label for label in host.split("."))


def _encoded(label: str) -> str:
    # IDNA refuses `ab--cd` and `r3---sn` (RFC 5890, 2.3.1, reserves them for later); the DNS has them all the same.
    if label.isascii() and not _is_encoded(label):
        return label
    return idna.alabel(label).decode("ascii")


def _is_encoded(label: str) -> bool:
    return label.startswith("xn--")


def _check_direction(host: str) -> None:
    """Raise ValueError for a host that could be shown as another one (RFC 5893, 1.4; idna looks at one label only)."""
    if any(unicodedata.bidirectional(character) in _RIGHT_TO_LEFT for character in host):
        for label in host.split("."):
            idna.check_bidi(label, check_ltr=True)
