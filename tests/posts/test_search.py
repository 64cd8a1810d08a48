"""The page of search: what is found, what is not shown, what is said when the search server is away."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from posts import found, services
from posts.found import MAX_SNIPPET, asked, find, marked, page_number, shortened
from posts.models import Post
from search import backends, indexing
from search.backends.base import MARK_BEGIN, MARK_END
from search.documents import kind
from tests.search.meilisearch import Meilisearch

Write = Callable[..., Post]

SEARCH = reverse("posts:search")
NOBODY_LISTENS = "http://127.0.0.1:9"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Nothing is known of the search server, as in a web process that has just started."""
    backends.backend.cache_clear()
    yield
    backends.backend.cache_clear()


@pytest.fixture(params=["embedded", "meilisearch"])
def server(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Each search backend in turn."""
    if request.param == "meilisearch":
        settings.MEILISEARCH_URL = request.getfixturevalue("meilisearch").url
        settings.MEILISEARCH_API_KEY = "a-key"
    return str(request.param)


@pytest.fixture
def meilisearch() -> Iterator[Meilisearch]:
    with Meilisearch("a-key") as server:
        yield server


def indexed(*posts: Post) -> None:
    """Have the posts indexed by another process than the one that searches."""
    indexing.index(kind("post"), [str(post.pk) for post in posts])
    backends.backend.cache_clear()


def test_a_post_is_found_by_its_words_which_are_marked(client: Client, write: Write, server: str) -> None:
    post = write("A night", "The **harbour** was dark & quiet.")
    indexed(post, other := write("A day", "Bright."))
    page = client.get(SEARCH, {"q": "harbour"}).text
    assert "<mark>harbour</mark> was dark &amp; quiet" in page
    assert post.get_absolute_url() in page
    assert other.get_absolute_url() not in page
    assert 'value="harbour"' in page


@pytest.mark.parametrize(
    "text, query, marked",
    [
        ("Patch CVE-2026-2332 now", "cve-2026-2332", "Patch <mark>CVE</mark>-<mark>2026</mark>-<mark>2332</mark> now"),
        ("The `os.path.join` of it", "os.path", "<mark>os</mark>.<mark>path</mark>.join"),
        ("Eine Nacht in Zürich", "zurich", "<mark>Zürich</mark>"),
        ("Một đêm ở Viê\u0323t Nam", "việt", "<mark>Viê\u0323t</mark>"),
        ("東京タワーの夜景", "夜景", "<mark>夜景</mark>"),
    ],
)
def test_whatever_is_found_is_marked(
    client: Client, write: Write, server: str, text: str, query: str, marked: str
) -> None:
    indexed(write("A night", text))
    page = client.get(SEARCH, {"q": query}).text
    # The stand-in knows no dictionary, and marks each character on its own.
    assert marked in page.replace("</mark><mark>", "")


def test_a_process_that_has_indexed_nothing_can_search(client: Client, server: str) -> None:
    answer = client.get(SEARCH, {"q": "night"})
    assert answer.status_code == 200
    assert "No post matches" in answer.text


def test_a_post_taken_back_is_not_shown_though_the_index_is_behind(client: Client, write: Write, server: str) -> None:
    indexed(post := write("A secret", "harbour"))
    services.unpublish(post)
    assert "A secret" not in client.get(SEARCH, {"q": "harbour"}).text


def test_what_people_wrote_stays_text(client: Client, write: Write, server: str) -> None:
    indexed(write("<script>alert(1)</script> harbour", "<b onclick=x>harbour</b> `<i>` harbour"))
    page = client.get(SEARCH, {"q": "harbour"}).text
    assert "<script>alert" not in page
    assert "<b onclick" not in page
    assert "<mark>harbour</mark>" in page
    assert "<img src=x" not in client.get(SEARCH, {"q": '"><img src=x>'}).text


@pytest.mark.parametrize(
    "text, html",
    [
        (f"a {MARK_BEGIN}b{MARK_END}", "a <mark>b</mark>"),
        (f"{MARK_BEGIN}<b>{MARK_END} & c", "<mark>&lt;b&gt;</mark> &amp; c"),
        (f"{MARK_END}a{MARK_BEGIN}b", "ab"),
        (f"{MARK_BEGIN}{MARK_BEGIN}a{MARK_END}{MARK_END}", "<mark>a</mark>"),
    ],
)
def test_marks_become_html_and_are_always_balanced(text: str, html: str) -> None:
    assert marked(text) == html


@pytest.mark.parametrize("text", ["x" * 100_000, "a\u0301" * 50_000, "\U0001f600" * 100_000, "lantern" + "s" * 100_000])
def test_what_is_written_without_a_space_is_cut_too(client: Client, write: Write, server: str, text: str) -> None:
    indexed(write("A lantern", text))
    page = client.get(SEARCH, {"q": "lantern"}).text
    assert "A <mark>lantern</mark>" in page
    assert len(page) < 10_000


@pytest.mark.parametrize(
    "text, begins, ends",
    [
        ("a" * 600, "aaa", "aaa"),
        ("a" * 601, "aaa", "a…"),
        (f"{'a' * 5_000} {MARK_BEGIN}b{MARK_END} {'c' * 5_000}", "…aaa", "ccc…"),
        (f"{'a' * 5_000} {MARK_BEGIN}{'b' * 5_000}{MARK_END} c", "…aaa", f"bbb{MARK_END}…"),
        (f"{'a' * 5_000}{MARK_BEGIN}b{MARK_END}", "…aaa", f"a{MARK_BEGIN}b{MARK_END}"),
    ],
)
def test_a_snippet_is_short_and_has_the_first_mark(text: str, begins: str, ends: str) -> None:
    cut = shortened(text)
    assert len(cut) <= MAX_SNIPPET + len("……") + len(MARK_END)
    assert cut.startswith(begins)
    assert cut.endswith(ends)
    assert (MARK_BEGIN in cut) == (MARK_BEGIN in text)


def test_results_come_in_pages(client: Client, write: Write, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "PAGE", 2)
    indexed(*(write(f"Harbour {number}") for number in range(5)))
    pages = [find("harbour", number) for number in (1, 2, 3)]
    assert [(page.earlier, page.later, len(page.found)) for page in pages] == [(0, 2, 2), (1, 3, 2), (2, 0, 1)]
    assert len({one.post.pk for page in pages for one in page.found}) == 5
    assert 'rel="next" href="?q=harbour&amp;page=2"' in client.get(SEARCH, {"q": "harbour"}).text
    assert "nothing further" in client.get(SEARCH, {"q": "harbour", "page": "9"}).text


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1.5", "99999999999", "\u00b2"])
def test_whatever_is_no_page_is_the_first(text: str) -> None:
    assert page_number(text) == 1


@pytest.mark.parametrize("text", ["", "  ", "!!! -- '\"", "\u0000", "*"])
def test_without_a_word_nothing_is_asked(client: Client, settings: Settings, text: str) -> None:
    settings.MEILISEARCH_URL = NOBODY_LISTENS
    assert asked(text) == ""
    answer = client.get(SEARCH, {"q": text})
    assert answer.status_code == 200
    assert "Type words" in answer.text


@pytest.mark.parametrize(
    "text", ["'; DROP", 'a"b', "a & | ! b:*", "a\u0000b", "\u00b2", "夜 дом", "x " * 500, "(" * 9 + "a"]
)
def test_no_query_is_too_odd(client: Client, write: Write, server: str, text: str) -> None:
    indexed(write())
    assert client.get(SEARCH, {"q": text}).status_code == 200


def test_a_server_that_is_away_is_said_so(client: Client, settings: Settings) -> None:
    settings.MEILISEARCH_URL = NOBODY_LISTENS
    answer = client.get(SEARCH, {"q": "night"})
    assert answer.status_code == 503
    assert "does not answer at the moment" in answer.text
    assert 'value="night"' in answer.text


def test_a_server_that_refuses_our_key_is_said_so(client: Client, settings: Settings, meilisearch: Meilisearch) -> None:
    settings.MEILISEARCH_URL, settings.MEILISEARCH_API_KEY = meilisearch.url, "another key"
    answer = client.get(SEARCH, {"q": "night"})
    assert answer.status_code == 503
    assert "mends its settings" in answer.text


def test_the_list_of_posts_leads_to_the_search(client: Client) -> None:
    page = client.get(reverse("posts:list")).text
    assert f'action="{SEARCH}"' in page
    assert 'aria-keyshortcuts="/"' in page
