"""What an error is, whoever it happened to: ids, addresses and numbers in it replaced by …. Pure."""

import re

#: What differs between two errors of one kind.
_VARIABLE = re.compile(
    r"""
    \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b  # ids
    | [\w.+-]+@[\w-]+(\.[\w-]+)+        # addresses
    | \b0x[0-9a-f]+\b                   # places in memory
    | \b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b  # digests
    | \b\d{4,}\b                        # numbers too long for a code
    """,
    re.VERBOSE | re.IGNORECASE,
)

#: Longer errors are alike if they begin alike.
LENGTH = 160


def fingerprint(error: str) -> str:
    """Return the kind of an error; as a filter of dead letters it finds all of that kind."""
    found = re.sub(r"…[…\s]*…", "…", _VARIABLE.sub("…", error))
    return found if len(found) <= LENGTH else found[: LENGTH - 1].rstrip("…") + "…"
