"""A text's words and a query's, as every database gets them: one tokeniser before them all. Pure.

A *term* is a word in the form in which it is looked up: folded (compatibility forms, case, accents and vowel points
are no difference), at most `LONGEST` characters long. Words without a space between them are *joined*:
`docs.example.com/guide` is four of them. Beside each word a text holds the pair that it makes with the joined one
before it (`docs.example`, `example.com`, `com.guide`), and that is what a query for something joined asks for: it finds
the whole and any run of its parts, and not the same parts strewn about.

Languages that put no spaces between words (Chinese, Japanese, Thai, …; Korean puts some) need nothing else: each of
their characters counts as a word, so their pairs are the bigrams by which such languages are usually searched.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice
from typing import NamedTuple

#: Characters of a term; longer words are cut. PostgreSQL takes 2,046 bytes, and a pair is two terms.
LONGEST = 100

#: Words of a query; more are passed over.
MOST_ASKED = 64

#: Between the two terms of a pair. No term has it.
PAIR = "."

#: What joins the parts of a name, an address, a path. Hyphens, apostrophes and commas join no more than a space does.
_BINDING = frozenset("./\\:@_#+=&~%")

#: Letters of the scripts that are written without spaces: Thai and Lao, Myanmar, Khmer, kana, bopomofo, Han, Hangul.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)

#: A Hangul syllable in its parts, as file names on macOS have it: initials, vowels, finals.
_INITIALS, _VOWELS, _FINALS = "\u1100-\u115f\ua960-\ua97c", "\u1160-\u11a7\ud7b0-\ud7c6", "\u11a8-\u11ff\ud7cb-\ud7fb"

#: Signs inside of a word that are not seen (soft hyphens, joiners, directions), and the half-width voicing marks.
_WITHIN = "\u00ad\u061c\u200d\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\uff9e\uff9f"

#: Symbols that have letters in their compatibility form, as ㎏ has, but part words rather than being some.
_TRADE_MARKS = frozenset("\u2120\u2122")

#: Letters that no decomposition takes apart, and how people write them who have no key for them.
_LATIN = str.maketrans(
    {
        **dict(zip("\u00f8\u0142\u0111\u00f0\u0127\u0167\u0131", "olddhti", strict=True)),
        **dict(zip("\u00e6\u0153\u00fe", ("ae", "oe", "th"), strict=True)),
    }
)

#: Letters of the Arabic script that are written for one another, and one that only makes words longer, as Lucene's
#: normalizers for Arabic and Persian have them (https://lucene.apache.org/core/9_0_0/analysis/common/).
_ARABIC = str.maketrans("\u0671\u0649\u06cc\u06a9\u0629", "\u0627\u064a\u064a\u0643\u0647", "\u0640")

_SPACE = re.compile(r"\s")


class Word(NamedTuple):
    """A word of a text.

    Attributes:
        term: in the form in which it is looked up.
        start: where it begins in the text.
        end: where it ends.
        joined: whether no space is between it and the word before.
    """

    term: str
    start: int
    end: int
    joined: bool


def words(text: str) -> Iterator[Word]:
    """Yield the words of a text in their order."""
    end = -1
    for match in _pattern().finditer(text):
        joined = end >= 0 and not _SPACE.search(text, end, match.start())
        end = match.end()
        for term, start, stop in _terms_of(match.group(), match.start()):
            yield Word(term, start, stop, joined)
            joined = True


def terms(text: str) -> Iterator[str]:
    """Yield what a text is found by: its words, and the pairs of those that are joined."""
    before = ""
    for word in words(text):
        yield word.term
        if word.joined and before:
            yield pair(before, word.term)
        before = word.term


def words_of(query: str) -> list[str]:
    """Return the terms that a text must have to match a query; of the last one, the beginning. Empty without a word."""
    found = list(islice(words(query), MOST_ASKED))
    joined = [word.joined and not _loosely(query, *found[at - 1 : at + 1]) for at, word in enumerate(found)]
    wanted = []
    for at, word in enumerate(found):
        if joined[at]:
            wanted.append(pair(found[at - 1].term, word.term))
        elif not any(joined[at + 1 : at + 2]):
            wanted.append(word.term)
    # The last mention counts, so that the last term stays the one that may be a beginning.
    return list(dict.fromkeys(reversed(wanted)))[::-1]


def pair(one: str, other: str) -> str:
    """Return the term of two joined words."""
    return f"{one}{PAIR}{other}"


@lru_cache(maxsize=4096)
def folded(word: str) -> str:
    """Return a word without case, accents, vowel points and compatibility forms. Folding again changes nothing."""
    if word.isascii():
        return word.lower()
    plain = _without_marks(_without_marks(word).casefold())
    return unicodedata.normalize("NFC", plain.translate(_LATIN).translate(_ARABIC))


def _without_marks(word: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", word) if not _passed_over(sign))


def _passed_over(sign: str) -> bool:
    """Tell whether a sign makes no other word: an accent, a Hebrew or Arabic vowel point, a sign that is not seen.

    By the canonical combining class (https://www.unicode.org/reports/tr44/#Canonical_Combining_Class_Values). The
    vowel signs of Indic scripts, viramas, the voicing marks of kana and the tones of Thai do make another word.
    """
    order = unicodedata.combining(sign)
    if order:
        return order in {1, 7} or 10 <= order <= 36 or order >= 200
    return unicodedata.category(sign) in {"Me", "Cf"} or sign in _variation_selectors()


def _loosely(query: str, one: Word, other: Word) -> bool:
    """Tell whether two joined words may as well be written apart: `well-known`, unlike `CVE-2026` and `node.js`."""
    between = query[one.end : other.start]
    return bool(between) and _BINDING.isdisjoint(between) and not any(sign.isdigit() for sign in one.term + other.term)


def _terms_of(piece: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield the terms of a piece of text that has no separator in it, and where each begins and ends."""
    end = start + len(piece)
    # Marks are the most that folding takes away: three or four to a letter are many.
    term = folded(piece[: 4 * LONGEST])
    # Some fall apart when folded: a half becomes a one and a two.
    for one in [term] if piece.isascii() else _pattern().findall(term):
        if one[0] == "v" and one[1:2].isdigit():
            # A version is found with its letter and without.
            number = start + 1 if piece.isascii() else start
            yield "v", start, start + 1
            yield one[1 : LONGEST + 1], number, end
        else:
            yield one[:LONGEST], start, end


@cache
def _pattern() -> re.Pattern[str]:
    """Return what finds the pieces of a text.

    Those are letters and digits, each with the marks that follow it; and `++` and `#` right after one, for C++ and C#.
    """
    marks, letters = _marks_and_letters()
    tail = f"{marks}{_WITHIN}"
    spaced = rf"[^\W_{_UNSPACED}{_INITIALS}]"
    return re.compile(
        rf"(?=[^\W_])[{_UNSPACED}][{tail}]*"
        rf"|[{_INITIALS}][{_VOWELS}]*[{_FINALS}]*[{tail}]*"
        rf"|(?:{spaced}|[{letters}])(?:{spaced}+|[{letters}{tail}]+)*"
        r"|(?<=[a-zA-Z0-9])(?:\+\+|#)(?![^\W_])"
    )


def _marks_and_letters() -> tuple[str, str]:
    """Return two classes of characters that `re` has no name for: marks, and symbols made of letters or digits."""
    marks, letters = [], []
    for sign in map(chr, (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))):
        category = unicodedata.category(sign)
        if category[0] == "M":
            marks.append(sign)
        elif category == "So" and unicodedata.decomposition(sign) and sign not in _TRADE_MARKS:
            letters += [sign] if any(one.isalnum() for one in unicodedata.normalize("NFKD", sign)) else []
    return _ranges(marks), _ranges(letters)


def _ranges(signs: list[str]) -> str:
    """Write characters, which are in order, as the inside of a character class."""
    parts: list[list[str]] = []
    for sign in signs:
        if parts and ord(sign) == ord(parts[-1][-1]) + 1:
            parts[-1][1:] = [sign]
        else:
            parts.append([sign])
    return "".join("-".join(part) for part in parts)


@cache
def _variation_selectors() -> frozenset[str]:
    return frozenset(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
