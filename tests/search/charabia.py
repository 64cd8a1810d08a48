"""How a Meilisearch server of v1.50 takes texts apart, for the stand-in: by what parts words, and how they are folded.

After the list of separators (https://github.com/meilisearch/charabia/blob/main/charabia/src/separators.rs) and the
normalizers beside it. What the real one knows from dictionaries, the words of Chinese, Japanese, Korean and Thai, is
one character each here.
"""

import unicodedata
from collections.abc import Collection, Iterator
from typing import NamedTuple

#: Punctuation is on the list, and these beside it.
MORE = frozenset("`\n\r\t\0+\u200c\u00b1\u00d7\u00f7" + "".join(map(chr, range(0x2212, 0x2300))))

#: These are not, though of the same categories.
LESS = frozenset("\u00a0\u2000\u2001\u202f\u205f\u2011\u066b\u066c")

#: Scripts whose marks over and under the letters are dropped, by the beginning of the names of their letters.
UNMARKED = ("LATIN", "GREEK", "ARABIC", "HEBREW", "THAI")

LETTERS = str.maketrans(
    {
        **dict(zip("\u0153\u00e6\u0111\u00f0\u0131\u03c2", ("oe", "ae", "d", "d", "i", "\u03c3"), strict=True)),
        **dict(zip("\u0622\u0623\u0625\u0671\u0649\u0629\u0640", "\u0627\u0627\u0627\u0627\u064a\u0647 ", strict=True)),
    }
)

UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "HANGUL")


class Token(NamedTuple):
    """A word as it is looked up, and where it stands."""

    word: str
    start: int
    end: int


def separates(sign: str, more: Collection[str]) -> bool:
    """Tell whether a character parts words, on a server that was told of more."""
    if sign in more:
        return True
    category = unicodedata.category(sign)
    return sign not in LESS and (category[0] == "P" or category in {"Zs", "Zp"} or sign in MORE)


def tokens(text: str, more: Collection[str] = ()) -> Iterator[Token]:
    """Yield the words of a text."""
    start = 0
    for at, sign in enumerate([*text, " "]):
        ends = separates(sign, more)
        if at > start and (ends or _alone(text[start]) or _alone(sign)) and unicodedata.category(sign)[0] != "M":
            yield Token(_normalized(text[start:at]), start, at)
            start = at
        if ends:
            start = at + 1


def _alone(sign: str) -> bool:
    return unicodedata.name(sign, "").startswith(UNSPACED)


def _normalized(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word)
    if not "\uff00" <= word[0] <= "\uffef":
        # It takes full-width letters for Hangul, which has no case.
        plain = plain.lower()
    unmarked = unicodedata.name(plain[0], "").startswith(UNMARKED)
    kept = "".join(sign for sign in plain if not (unmarked and unicodedata.category(sign) == "Mn"))
    return kept.translate(LETTERS).replace(" ", "")
