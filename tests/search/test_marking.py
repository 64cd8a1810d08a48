"""What matched, marked in a text that is shortened around it."""

import pytest
from hypothesis import given, strategies as st

from search.backends.base import MARK_BEGIN, MARK_END
from search.backends.marking import CONTEXT, folded, mark


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
