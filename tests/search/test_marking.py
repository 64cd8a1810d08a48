"""What matched, marked in a text that is shortened around it."""

import pytest
from hypothesis import given, strategies as st

from search.backends.base import MARK_BEGIN, MARK_END
from search.backends.marking import CONTEXT, mark
from search.words import folded, terms, words_of
from tests.search.test_words import texts


def marked(text: str, *words: str) -> str:
    return mark(text, [folded(word) for word in words]).replace(MARK_BEGIN, "[").replace(MARK_END, "]")


@pytest.mark.parametrize(
    "text, words, result",
    [
        ("The night train", ["night"], "The [night] train"),
        ("Night, NIGHT and nights", ["night"], "[Night], [NIGHT] and [nights]"),
        ("night nights", ["nights", "tra"], "night [nights]"),
        ("Ein Café, ein CAFE", ["café"], "Ein [Café], ein [CAFE]"),
        ("snake_case", ["case"], "snake_[case]"),
        ("Nothing here", ["else"], "Nothing here"),
        ("", ["else"], ""),
        ("…!", ["else"], "…!"),
        ("No words", [], "No words"),
    ],
)
def test_words_are_marked_whatever_their_case_and_accents(text: str, words: list[str], result: str) -> None:
    assert marked(text, *words) == result


@pytest.mark.parametrize(
    "text, query, result",
    [
        ("See CVE-2026-2332, not CVE 2026", "cve-2026-2332", "See [CVE]-[2026]-[2332], not CVE 2026"),
        ("os.path and os.getpid, a path", "os.path", "[os].[path] and os.getpid, a path"),
        ("the os.pathlib of it", "os.pat", "the [os].[pathlib] of it"),
        ("C, C++ and C#", "c++", "C, [C++] and C#"),
        ("我在北京大学", "北京", "我在[北京]大学"),
        ("北海と京都、北京", "北京", "北海と京都、[北京]"),
        ("Viê\u0323t Nam", "việt", "[Viê\u0323t] Nam"),
        ("Tagged v1.2.3", "1.2", "Tagged v[1].[2].3"),
        ("Half (½) of it", "1/2", "Half ([½]) of it"),
        ("Zusammen\u00adarbeit", "zusammenarbeit", "[Zusammen\u00adarbeit]"),
        ("joined, and join.ed", "joi", "[joined], and [join].ed"),
        ("Well, a well-known one", "well-known", "[Well], a [well]-[known] one"),
    ],
)
def test_what_was_found_is_what_is_marked(text: str, query: str, result: str) -> None:
    assert marked(text, *words_of(query)) == result


@given(texts, texts)
def test_a_text_is_marked_if_and_only_if_a_term_is_found_in_it(text: str, query: str) -> None:
    text = text.replace(MARK_BEGIN, "")
    for wanted in (words_of(query), words_of(text)):
        there = list(terms(text))
        found = not set(wanted).isdisjoint(there) or any(term.startswith(wanted[-1]) for term in there if wanted)
        assert (MARK_BEGIN in mark(text, wanted)) == found


def test_a_long_text_is_cut_around_the_first_match() -> None:
    text = f"{'before ' * 50}lamp {'after ' * 50}"
    assert marked(text, "lamp") == f"…{'before ' * 8}[lamp]{' after' * 21}…"


def test_a_long_text_without_a_match_is_its_beginning() -> None:
    assert marked("word " * 100, "lamp") == f"{'word ' * CONTEXT}".rstrip() + "…"


@given(st.text(st.sampled_from("ab é.…_"), max_size=200), st.lists(st.sampled_from(["a", "b", "ab", "é"]), max_size=2))
def test_nothing_is_changed_but_cut_and_marked(text: str, words: list[str]) -> None:
    result = mark(text, [folded(word) for word in words])
    plain = result.replace(MARK_BEGIN, "").replace(MARK_END, "")
    assert plain in text or plain.removeprefix("…").removesuffix("…") in text
    assert result.count(MARK_BEGIN) == result.count(MARK_END)
