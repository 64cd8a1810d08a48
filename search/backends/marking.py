"""What matched, marked in a text that is shortened around it. Pure."""

import re
import unicodedata
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from search.backends.base import MARK_BEGIN, MARK_END

#: Words of a shortened text: all of them, and those before the first match.
CONTEXT, BEFORE = 30, 8

_WORD = re.compile(r"[^\W_]+")


def highlighted(document: Mapping[str, Any], words: Sequence[str]) -> dict[str, str]:
    """Return the texts of a document, shortened around the first of these words, each of them marked."""
    wanted = [folded(word) for word in words]
    return {name: mark(value, wanted) for name, value in document.items() if isinstance(value, str)}


def mark(text: str, wanted: Sequence[str]) -> str:
    """Return a text with the folded words marked; the last one may be the beginning of a word."""
    tokens = _WORD.finditer(text)
    before: deque[re.Match[str]] = deque(maxlen=BEFORE)
    for token in tokens:
        if _matches(token, wanted):
            return _cut(text, [*before, token, *islice(tokens, CONTEXT - len(before))], wanted)
        before.append(token)
    return _cut(text, list(islice(_WORD.finditer(text), CONTEXT + 1)), wanted)


def folded(word: str) -> str:
    """Return a word without case and accents."""
    if word.isascii():
        return word.lower()
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def _matches(token: re.Match[str], wanted: Sequence[str]) -> bool:
    word = folded(token.group())
    return word in wanted or (bool(wanted) and word.startswith(wanted[-1]))


def _cut(text: str, tokens: Sequence[re.Match[str]], wanted: Sequence[str]) -> str:
    """Return the text from the first token to the last, which is left out where there are too many."""
    if not tokens:
        return text
    begins = tokens[0].start() if _WORD.search(text, 0, tokens[0].start()) else 0
    ends = tokens[-1].start() if len(tokens) > CONTEXT else len(text)
    parts, at = ["…" if begins else ""], begins
    for token in tokens:
        if token.start() < ends and _matches(token, wanted):
            parts += [text[at : token.start()], MARK_BEGIN, token.group(), MARK_END]
            at = token.end()
    rest = text[at:ends]
    return "".join([*parts, rest if ends == len(text) else f"{rest.rstrip()}…"])
