"""The backend on a Meilisearch server: its settings, what fits into a request, its trouble and ours."""

import unicodedata

import pytest

from search.backends.meilisearch import BATCH_BYTES, SEPARATORS, MeilisearchBackend
from search.documents import IndexSettings
from search.errors import SearchError
from search.words import words
from tests.search.charabia import separates
from tests.search.meilisearch import Meilisearch, Refusal

SETTINGS = IndexSettings(searchable=("title", "text"), filterable=("author", "draft"), sortable=("at", "size"))


@pytest.fixture
def server(meilisearch: Meilisearch) -> MeilisearchBackend:
    backend = MeilisearchBackend(meilisearch.url, "a-key")
    backend.prepare("posts", SETTINGS)
    meilisearch.requests.clear()
    return backend


def _changes(meilisearch: Meilisearch) -> list[str]:
    return [path for method, path in meilisearch.requests if method == "PATCH"]


def test_another_order_of_the_searchable_attributes_is_sent(
    meilisearch: Meilisearch, server: MeilisearchBackend
) -> None:
    server.prepare("posts", IndexSettings(("text", "title"), SETTINGS.filterable, SETTINGS.sortable))
    assert meilisearch.indexes["posts"].settings["searchableAttributes"] == ["text", "title"]


def test_what_has_no_order_is_not_sent_again(meilisearch: Meilisearch, server: MeilisearchBackend) -> None:
    server.prepare("posts", IndexSettings(SETTINGS.searchable, ("draft", "author"), ("size", "at")))
    assert _changes(meilisearch) == []


def test_a_server_set_up_by_an_older_release_gets_the_separators(
    meilisearch: Meilisearch, server: MeilisearchBackend
) -> None:
    meilisearch.indexes["posts"].settings["separatorTokens"] = []
    server.prepare("posts", SETTINGS)
    assert set(meilisearch.indexes["posts"].settings["separatorTokens"]) == set(SEPARATORS)


def test_the_server_parts_words_at_the_signs_of_a_keyboard_where_our_tokeniser_does() -> None:
    signs = [sign for sign in map(chr, range(0x100)) if not sign.isalnum() and unicodedata.category(sign) != "Cc"]
    # A soft hyphen is not seen.
    expected = [sign for sign in signs if sign != "\u00ad"]
    assert [sign for sign in signs if len(list(words(f"a{sign}b"))) == 2] == expected
    assert [sign for sign in signs if separates(sign, SEPARATORS)] == expected


def test_no_separator_is_one_to_the_server_already_or_none_to_our_tokeniser() -> None:
    assert [sign for sign in SEPARATORS if separates(sign, ()) or len(list(words(f"a{sign}b"))) != 2] == []


def test_documents_are_sent_in_batches_by_their_bytes(meilisearch: Meilisearch, server: MeilisearchBackend) -> None:
    # 40,000 Japanese letters take 120 kB as they are, twice that escaped.
    meilisearch.payload_limit = BATCH_BYTES + 1000
    server.put("posts", [{"id": f"p{number}", "text": "\u3042" * 40_000} for number in range(200)])
    assert server.count("posts") == 200
    assert len([path for method, path in meilisearch.requests if path.endswith("/documents")]) == 4


def test_batches_too_large_for_a_proxy_are_sent_by_halves(meilisearch: Meilisearch, server: MeilisearchBackend) -> None:
    meilisearch.payload_limit = 3_000
    server.put("posts", [{"id": f"p{number}", "text": "x" * 1000} for number in range(9)])
    assert server.count("posts") == 9


def test_a_document_too_large_for_the_server_is_a_permanent_error(
    meilisearch: Meilisearch, server: MeilisearchBackend
) -> None:
    meilisearch.payload_limit = 3_000
    with pytest.raises(SearchError, match="payload_too_large") as caught:
        server.put("posts", [{"id": "a", "text": "x"}, {"id": "b", "text": "x" * 5000}])
    assert caught.value.permanent


@pytest.mark.parametrize(
    "trouble, permanent",
    [
        (Refusal(500, "index_creation_failed", "It failed.", "internal"), False),
        (Refusal(422, "too_many_open_files", "Too many.", "system"), False),
        (Refusal(422, "no_space_left_on_device", "Full.", "system"), False),
        ("canceled", False),
        (Refusal(400, "invalid_document_fields", "No.", "invalid_request"), True),
        (Refusal(400, "max_fields_limit_exceeded", "Too many.", "invalid_request"), True),
    ],
    ids=lambda one: one.code if isinstance(one, Refusal) else str(one),
)
def test_the_servers_own_trouble_passes_and_a_refusal_does_not(
    meilisearch: Meilisearch, server: MeilisearchBackend, trouble: Refusal | str, permanent: bool
) -> None:
    meilisearch.troubles.append(trouble)
    with pytest.raises(SearchError) as caught:
        server.put("posts", [{"id": "a"}])
    assert caught.value.permanent is permanent


@pytest.mark.parametrize(
    "status, permanent", [(200, False), (404, True), (413, True), (429, False), (502, False), (503, False)]
)
def test_a_proxys_page_in_place_of_an_answer_is_an_error_of_ours(
    meilisearch: Meilisearch, server: MeilisearchBackend, status: int, permanent: bool
) -> None:
    meilisearch.proxy = (status, "<h1>Not here</h1>")
    with pytest.raises(SearchError) as caught:
        server.search("posts", "harbour")
    assert caught.value.permanent is permanent
    meilisearch.proxy = None
