"""What every search backend does."""

from collections.abc import Mapping, Sequence

import pytest

from search.backends.base import MARK_BEGIN, MARK_END, SearchBackend
from search.backends.embedded import EmbeddedBackend
from search.documents import Document, IndexSettings
from search.errors import SearchError
from tests.search.inputs import EVERYWHERE, IN_DATABASES

pytestmark = pytest.mark.django_db

SETTINGS = IndexSettings(searchable=("title", "text"), filterable=("author", "draft"))


def _document(number: int, **changes: object) -> Document:
    return {
        "id": f"doc-{number}",
        "title": f"Title {number}",
        "text": "some words",
        "author": "ann",
        "draft": False,
        **changes,
    }


def _found(backend: SearchBackend, index: str, query: str, **filters: str | bool | int) -> set[str]:
    return {hit.document["id"] for hit in backend.search(index, query, filters=filters or None).hits}


def test_what_was_put_is_found(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Night trains"), _document(2, text="about trains by day"), _document(3)])
    assert _found(backend, index, "trains") == {"doc-1", "doc-2"}
    assert backend.count(index) == 3


def test_all_words_must_match(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Night trains"), _document(2, title="Night sky")])
    assert _found(backend, index, "night trains") == {"doc-1"}


def test_the_last_word_may_be_a_beginning(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Lighthouse")])
    assert _found(backend, index, "lighth") == {"doc-1"}


def test_case_does_not_matter(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Aurora")])
    assert _found(backend, index, "AURORA") == {"doc-1"}


@pytest.mark.parametrize("query", ['"', "a OR", "NEAR(", "&|!", "' OR 1=1 --", "*", "(", "title:", "\\"])
def test_no_query_is_an_error(backend: SearchBackend, index: str, query: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1)])
    backend.search(index, query)


def _missed(backend: SearchBackend, index: str, inputs: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Index texts, and return each with the queries that do not find it, or find it and mark nothing in it."""
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(number, text=text) for number, text in enumerate(inputs)])
    asked = [(number, text, query) for number, text in enumerate(inputs) for query in inputs[text]]
    return [(text, query) for number, text, query in asked if not _marks(backend, index, query, f"doc-{number}")]


def _marks(backend: SearchBackend, index: str, query: str, key: str) -> bool:
    found = {hit.document["id"]: hit.highlighted for hit in backend.search(index, query, limit=100).hits}
    return MARK_BEGIN in found.get(key, {}).get("text", "")


def test_what_was_written_is_found_whole_and_in_parts_and_marked(backend: SearchBackend, index: str) -> None:
    assert _missed(backend, index, EVERYWHERE) == []


def test_spellings_that_mean_the_same_are_one_to_both_databases(index: str) -> None:
    assert _missed(EmbeddedBackend(), index, IN_DATABASES) == []


@pytest.mark.parametrize(
    "text, query",
    [
        ("Port 2332 of 2026, by CVE", "CVE-2026-2332"),
        ("Versions 1.3.2 and 2.1", "1.2.3"),
        ("A path, and os, and a join", "os.path.join"),
        ("jane@example.org and john.doe@example.com", "jane.doe@example.com"),
        ("C is a language, and C# one as well", "C++"),
        ("कुल", "कल"),
        ("京都と東", "東京"),
        ("かき", "がき"),
    ],
)
def test_the_same_parts_strewn_about_or_another_word_are_not_found(index: str, text: str, query: str) -> None:
    backend = EmbeddedBackend()
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, text=text)])
    assert _found(backend, index, query) == set()


@pytest.mark.parametrize(
    "query", ["!!!", "-- ++", "<>", '"', "...", "\u2603 \U0001f680", "\u0301", "\0", "\ud800", "$ | ~"]
)
def test_a_query_of_symbols_only_finds_nothing(backend: SearchBackend, index: str, query: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, text=f"symbols {query.encode(errors='ignore').decode()} here")])
    assert backend.search(index, query).total == 0


@pytest.mark.parametrize(
    "query", ["some -words", "-some words", '"words', 'some "words', "so\ud800 words", "some\0words", "words " * 5000]
)
def test_no_sign_is_an_order_of_the_query_language(backend: SearchBackend, index: str, query: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, text="so some words")])
    assert _found(backend, index, query) == {"doc-1"}


def test_what_cannot_be_stored_is_replaced_and_the_rest_found(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="so\0me\ud800", text="lone \udfff words", author="a\0b")])
    (hit,) = backend.search(index, "lone words", filters={"author": "a\0b"}).hits
    assert hit.document["text"] == "lone \ufffd words"
    backend.remove(index, ["doc-\0", "doc-\ud800"])
    assert backend.count(index) == 1


@pytest.mark.parametrize("odd", [{"size": float("nan")}, {"size": object()}, {"text": "x" * 10_000_001}])
def test_a_document_that_is_no_json_or_too_large_is_refused_by_name(
    backend: SearchBackend, index: str, odd: dict[str, object]
) -> None:
    backend.prepare(index, SETTINGS)
    with pytest.raises(SearchError, match="doc-7") as caught:
        backend.put(index, [_document(1), _document(7, **odd)])
    assert caught.value.permanent


def test_a_text_of_more_words_than_a_database_takes_is_found_by_the_first(index: str) -> None:
    backend = EmbeddedBackend()
    text = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(65_000))
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Seven", text=text)])
    assert _found(backend, index, text[50:53]) == _found(backend, index, "seven") == {"doc-1"}


def test_words_of_any_length_are_found(index: str) -> None:
    backend = EmbeddedBackend()
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, text=f"{'x' * 5000} {'é' * 3000}.{'夜' * 3000} {'𐐨' * 500}.{'𐐩' * 500}")])
    for query in ("xxx", "é" * 3000, f"{'é' * 3000}.夜", f"{'𐐨' * 500}.{'𐐩' * 500}"):
        assert _found(backend, index, query) == {"doc-1"}


def test_no_query_finds_all(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1), _document(2)])
    assert backend.search(index, "").total == 2


def test_putting_again_replaces(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Before")])
    backend.put(index, [_document(1, title="After")])
    assert (_found(backend, index, "before"), _found(backend, index, "after")) == (set(), {"doc-1"})
    assert backend.count(index) == 1


def test_of_a_document_that_is_put_twice_at_once_the_last_counts(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Before"), _document(1, title="After")])
    assert (_found(backend, index, "before"), _found(backend, index, "after")) == (set(), {"doc-1"})


def test_what_was_removed_is_gone_and_removing_it_again_is_no_error(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1)])
    backend.remove(index, ["doc-1", "never-there"])
    backend.remove(index, ["doc-1"])
    assert backend.count(index) == 0
    assert _found(backend, index, "words") == set()


def test_filters(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1), _document(2, author='o"brien \\'), _document(3, draft=True)])
    assert _found(backend, index, "words", author='o"brien \\') == {"doc-2"}
    assert _found(backend, index, "words", draft=True) == {"doc-3"}
    assert _found(backend, index, "words", author="ann", draft=False) == {"doc-1"}


def test_a_filter_that_was_not_declared_is_refused_by_name(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    with pytest.raises(SearchError, match="title") as caught:
        backend.search(index, "x", filters={"title": "y"})
    assert caught.value.permanent


def test_pages(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(number) for number in range(5)])
    pages = [backend.search(index, "words", limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [len(page.hits) for page in pages] == [2, 2, 1]
    assert len({hit.document["id"] for page in pages for hit in page.hits}) == 5
    assert pages[0].total == 5
    assert [backend.search(index, query, limit=10**30, offset=10**30).hits for query in ("words", "")] == [[], []]


def test_what_matched_is_marked(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Lantern", text="a <b>lantern</b> in the dark")])
    (hit,) = backend.search(index, "lantern").hits
    assert hit.highlighted["title"] == f"{MARK_BEGIN}Lantern{MARK_END}"
    assert hit.highlighted["text"] == f"a <b>{MARK_BEGIN}lantern{MARK_END}</b> in the dark"


def test_what_matched_in_a_more_important_text_comes_first(index: str) -> None:
    backend = EmbeddedBackend()
    backend.prepare(index, SETTINGS)
    text = "harbour " * 3
    backend.put(index, [_document(1, text=text), _document(2, title="Harbour"), _document(3, text=text)])
    assert backend.search(index, "harbour").hits[0].document["id"] == "doc-2"


def test_typing_errors_are_forgiven_where_the_backend_says_so(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Lighthouse")])
    assert _found(backend, index, "lihgthouse") == ({"doc-1"} if backend.tolerates_typos else set())


def test_a_staging_index_is_apart_until_it_is_swapped(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Old"), _document(2, title="Old too")])
    assert not backend.has_staging(index)
    backend.begin_staging(index, SETTINGS)
    backend.put_staging(index, [_document(1, title="New"), _document(3, title="New too")])
    backend.remove_staging(index, ["doc-3"])
    assert backend.has_staging(index)
    assert _found(backend, index, "new") == set()
    backend.swap(index)
    assert (_found(backend, index, "new"), _found(backend, index, "old")) == ({"doc-1"}, set())
    assert not backend.has_staging(index)
    assert backend.count(index) == 1


def test_a_staging_index_left_over_is_emptied(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.begin_staging(index, SETTINGS)
    backend.put_staging(index, [_document(1)])
    backend.begin_staging(index, SETTINGS)
    backend.swap(index)
    assert backend.count(index) == 0


def test_settings_may_change(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, IndexSettings(searchable=("title",)))
    backend.put(index, [_document(1)])
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1)])
    assert _found(backend, index, "words", author="ann") == {"doc-1"}


def test_an_index_that_is_not_there_is_a_permanent_error_that_names_it(backend: SearchBackend, index: str) -> None:
    with pytest.raises(SearchError, match=index) as caught:
        backend.search(index, "x")
    assert caught.value.permanent
