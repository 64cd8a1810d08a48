"""What matched, marked in a text that is shortened around it. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple

from search.backends.base import MARK_BEGIN, MARK_END
from search.words import PAIR, Word, folded, pair, words

#: Words of a shortened text: all of them, and those before the first match.
CONTEXT, BEFORE = 30, 8


class _Seen(NamedTuple):
    """A word of a text, and whether it is one of those searched for."""

    word: Word
    wanted: bool


def highlighted(document: Mapping[str, Any], wanted: Sequence[str]) -> dict[str, str]:
    """Return the texts of a document, shortened around the first of the terms of a query, each of them marked."""
    terms = [folded(one) for one in wanted]
    return {name: mark(value, terms) for name, value in document.items() if isinstance(value, str)}


def mark(text: str, wanted: Sequence[str]) -> str:
    """Return a text with the terms of a query (`words_of`) marked; the last one may be the beginning of a term."""
    seen = _seen(text, wanted)
    before: deque[_Seen] = deque(maxlen=BEFORE)
    for one in seen:
        if one.wanted:
            return _cut(text, [*before, one, *islice(seen, CONTEXT - len(before))])
        before.append(one)
    return _cut(text, list(islice(_seen(text, ()), CONTEXT + 1)))


def _seen(text: str, wanted: Sequence[str]) -> Iterator[_Seen]:
    """Yield the words of a text. One is wanted by itself, or for the pair with the one before it or behind it."""
    paired = False
    before: Word | None = None
    for word in chain(words(text), [None]):
        joined = before is not None and word is not None and word.joined
        pairs = joined and _matches(pair(before.term, word.term), wanted)  # type: ignore[union-attr]  # Joined to it.
        if before is not None:
            yield _Seen(before, paired or pairs or _matches(before.term, wanted))
        before, paired = word, pairs


def _matches(term: str, wanted: Sequence[str]) -> bool:
    if term in wanted:
        return True
    # Each pair begins with a word; that word is marked, not both.
    return bool(wanted) and (PAIR in wanted[-1]) == (PAIR in term) and term.startswith(wanted[-1])


def _cut(text: str, seen: Sequence[_Seen]) -> str:
    """Return the text from the first word to the last, which is left out where there are too many."""
    if not seen:
        return text
    begins = seen[0].word.start if next(words(text)).start < seen[0].word.start else 0
    ends = seen[-1].word.start if len(seen) > CONTEXT else len(text)
    parts, at = ["…" if begins else ""], begins
    for start, end in _places([one.word for one in seen if one.wanted and one.word.start < ends]):
        parts += [text[at:start], MARK_BEGIN, text[start:end], MARK_END]
        at = end
    rest = text[at:ends]
    return "".join([*parts, rest if ends == len(text) else f"{rest.rstrip()}…"])


def _places(marked: Sequence[Word]) -> list[tuple[int, int]]:
    """Return where marks begin and end: one for words with nothing between them, such as those of a Chinese text."""
    places: list[tuple[int, int]] = []
    for word in marked:
        if places and word.start <= places[-1][1]:
            places[-1] = places[-1][0], word.end
        else:
            places.append((word.start, word.end))
    return places
