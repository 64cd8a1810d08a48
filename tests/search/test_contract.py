"""What every search backend does."""

import pytest

from search.backends.base import MARK_BEGIN, MARK_END, SearchBackend
from search.documents import Document, IndexSettings
from search.errors import SearchError

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


def test_what_matched_is_marked(backend: SearchBackend, index: str) -> None:
    backend.prepare(index, SETTINGS)
    backend.put(index, [_document(1, title="Lantern", text="a <b>lantern</b> in the dark")])
    (hit,) = backend.search(index, "lantern").hits
    assert hit.highlighted["title"] == f"{MARK_BEGIN}Lantern{MARK_END}"
    assert hit.highlighted["text"] == f"a <b>{MARK_BEGIN}lantern{MARK_END}</b> in the dark"


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
