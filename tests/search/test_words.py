"""The tokeniser before both databases."""

import unicodedata

from hypothesis import given, strategies as st

from search.words import LONGEST, MOST_ASKED, folded, terms, words, words_of

#: Whatever people write, with more of what tokenisers stumble on.
texts = st.text(
    st.one_of(st.characters(), st.sampled_from("aé.-/ +#v1²½ﬁßİ夜ガｶﾞ한हि\u0301\u3099\u200d\ufe0f\u00ad\0")), max_size=60
)


@given(texts)
def test_words_are_pieces_of_the_text_in_their_order(text: str) -> None:
    found = list(words(text))
    assert all(0 <= word.start < word.end <= len(text) for word in found)
    assert [word.start for word in found] == sorted(word.start for word in found)
    assert all(0 < len(word.term) <= LONGEST for word in found)


@given(texts)
def test_terms_hold_nothing_that_a_database_would_read_as_an_order(text: str) -> None:
    signs = set("".join(terms(text)))
    assert all(sign.isalnum() or unicodedata.category(sign)[0] == "M" or sign in ".+#" for sign in signs)


@given(texts)
def test_folding_again_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)


@given(texts)
def test_a_text_is_found_by_all_that_is_in_it(text: str) -> None:
    # Its first words: a query has no more.
    wanted, there = words_of(text), set(terms(text))
    assert set(wanted) <= there
    assert bool(wanted) == bool(there)


@given(texts)
def test_with_letters_and_marks_apart_the_words_are_the_same(text: str) -> None:
    assert list(terms(unicodedata.normalize("NFD", text))) == list(terms(unicodedata.normalize("NFC", text)))


def test_a_query_has_a_bounded_number_of_terms() -> None:
    assert len(words_of(" ".join(map(str, range(10_000))))) == MOST_ASKED
