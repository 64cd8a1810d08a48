"""Takes secrets out of what is told of a request: logs, error reports, traces. Pure.

A secret stands wherever an address, a header or a message of another library is repeated, so it is known by its shape.
"""

import re
from typing import TypeVar, cast

T = TypeVar("T")

#: What takes the place of a secret.
MASK = "…"

#: What is looked for, and what takes its place. Before each, what a line must have for that: hardly any line has one,
#: and to look for it takes a fraction of the time, the least where it begins with one certain sign. None takes more
#: than a time that grows with the line's length, and none goes beyond a quotation mark or a backslash: what is masked
#: may be JSON.
_SECRETS: tuple[tuple[re.Pattern[str], re.Pattern[str], str], ...] = (
    # What Django's signers make: value, time, and 43 signs of SHA-256. So are the links that are mailed.
    *(
        (
            re.compile(rf"{mark}[\w-]{{43}}"),
            re.compile(rf"(?<![\w-])[\w-]+{mark}[\w-]{{6,}}{mark}[\w-]{{43}}(?![\w-])"),
            MASK,
        )
        for mark in (":", r"\.")
    ),
    # Tokens of the API (`jobs.operations.tokens.MARK`).
    (re.compile("nst_"), re.compile(r"nst_[\w-]{8,}"), f"nst_{MASK}"),
    # Tokens of Telegram's bots, which stand in paths.
    (re.compile(r":[\w-]{35}"), re.compile(r"(?<!\d)\d{5,20}:[\w-]{35}(?![\w-])"), MASK),
    # Headers, repeated. `Basic authentication` is no password.
    (re.compile("earer "), re.compile(r"\b([Bb]earer)\s+[\w.~+/-]{8,}=*"), rf"\1 {MASK}"),
    (re.compile("asic "), re.compile(r"\b([Bb]asic)\s+(?=[a-z]*[A-Z0-9+/=])[A-Za-z0-9+/]{4,}=*"), rf"\1 {MASK}"),
    # The password in an address.
    (re.compile("://[^/]*@"), re.compile(r"(\w://[^\s:/?#@\"\\]*):[^\s/?#\"\\]+@"), rf"\1:{MASK}@"),
    # Parameters of signed addresses, and those that say what they are, in an address, without one, or in a log's words.
    (
        re.compile("="),
        re.compile(
            r"(?<![\w-])((?:x-amz-(?:signature|credential|security-token)|signature|sig|access_token|api_?key|token|password"
            r"|secret|csrfmiddlewaretoken|sessionid)=)[^&;\s\"'<>\\]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def masked(text: str) -> str:
    """Return a text without the secrets that stand in it."""
    for hint, pattern, mask in _SECRETS:
        if hint.search(text):
            text = pattern.sub(mask, text)
    return text


def without_secrets(value: T) -> T:
    """Return the same JSON with every text in it masked, keys too."""
    if isinstance(value, str):
        return cast("T", masked(value))
    if isinstance(value, dict):
        return cast("T", {without_secrets(key): without_secrets(one) for key, one in value.items()})
    if isinstance(value, list):
        return cast("T", [without_secrets(one) for one in value])
    return value
