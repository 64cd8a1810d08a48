"""Addresses that stand bare in a text, as GitHub Flavored Markdown finds them ("Autolinks (extension)"). Pure."""

import re
from collections.abc import Iterator

#: Each alternative begins where no word goes on and never gives back what it took, so a text is read once.
_ADDRESS = re.compile(
    r"(?<![\w/@.+-])(?:(?P<web>https?://(?=[\w\[])|www\.(?=\w))[^\s<>\"]*+"
    r"|(?P<mail>[\w.+-]++@[\w-]++(?:\.[\w-]++)++))",
    re.IGNORECASE,
)
#: What ends a sentence rather than an address.
_TRAILING = frozenset("?!.,:;*_~'\"")


def split(text: str) -> Iterator[tuple[str, str]]:
    """Yield the text in pieces, each with the address that it leads to; an empty one for mere text."""
    position = 0
    for match in _ADDRESS.finditer(text):
        shown = _without_trailing(match[0])
        yield text[position : match.start()], ""
        yield shown, _target(shown, match)
        position = match.start() + len(shown)
    yield text[position:], ""


def _target(shown: str, match: re.Match[str]) -> str:
    if match["mail"]:
        return f"mailto:{shown}"
    return shown if "://" in match["web"] else f"http://{shown}"


def _without_trailing(address: str) -> str:
    """Return the address without what follows it: signs that end a sentence, a parenthesis opened before it."""
    end = len(address)
    surplus = address.count(")") - address.count("(")
    while end and (address[end - 1] in _TRAILING or (surplus > 0 and address[end - 1] == ")")):
        surplus -= address[end - 1] == ")"
        end -= 1
    return address[:end]
