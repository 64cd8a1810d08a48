"""What an error is, whoever it happened to: ids, addresses and numbers in it replaced by …. Pure."""

import re
from functools import lru_cache

#: What differs between two errors of one kind. An address is looked for only where a word begins, and given up at
#: once where none ends in @: else a long word would be read again from each of its letters.
_VARIABLE = re.compile(
    r"""
    \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b  # ids
    | (?<![\w.+-])[\w.+-]++@[\w-]++(\.[\w-]++)+  # addresses
    | \b0x[0-9a-f]+\b                   # places in memory
    | \b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b  # digests
    | \b\d{4,}\b                        # numbers too long for a code
    | (?<=[a-z]_)(?:\d{3,}|(?=[a-z]*\d)[0-9a-z]{8,})\b  # what names a thing behind its kind: req_1157, ch_3NvPq8Lk
    """,
    re.VERBOSE | re.IGNORECASE,
)

#: Longer errors are alike if they begin alike; and no more of one is looked at.
LENGTH, MOST = 160, 500


@lru_cache(maxsize=10_000)
def fingerprint(error: str) -> str:
    """Return the kind of an error; as a filter of dead letters it finds all of that kind."""
    found = re.sub(r"…[…\s]*…", "…", _VARIABLE.sub("…", error[:MOST]))
    if len(found) <= LENGTH and len(error) <= MOST:
        return found
    return found[: LENGTH - 1].rstrip("…") + "…"
