"""A page of what a reader searched for."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from posts.models import Post, PostImage
from search.backends.base import MARK_BEGIN, MARK_END, Hit
from search.searching import search
from search.words import words_of

PAGE = 20

#: Search servers look no deeper than a thousand results.
LAST_PAGE = 50

#: What anybody would type; more is cut off.
MAX_QUERY = 200

#: Characters of a snippet, which has some thirty words: what somebody wrote without a space may be one of them.
MAX_SNIPPET = 600

_MARKED = re.compile(f"{MARK_BEGIN}([^{MARK_BEGIN}{MARK_END}]*){MARK_END}")


@dataclass(frozen=True, slots=True)
class Found:
    """A post found, with its title and the words around what matched, both as HTML."""

    post: Post
    title: SafeString
    snippet: SafeString


@dataclass(frozen=True, slots=True)
class FoundPage:
    """A page of results.

    Attributes:
        total: how many match, about.
        earlier: the number of the page before; 0 where this is the first.
        later: the number of the next page; 0 where this is the last.
    """

    found: list[Found]
    total: int
    earlier: int
    later: int


def asked(text: str) -> str:
    """Return what a reader asks for; empty where it has no word."""
    query = " ".join(text.split())[:MAX_QUERY]
    return query if words_of(query) else ""


def page_number(text: str) -> int:
    """Return the number of a page; the first one's for whatever is no number of ours."""
    return min(max(int(text), 1), LAST_PAGE) if text.isdecimal() and len(text) < 5 else 1


def find(query: str, number: int = 1) -> FoundPage:
    """Return a page of the published posts that match. Raises SearchError."""
    offset = (number - 1) * PAGE
    results = search("post", query, limit=PAGE, offset=offset)
    later = number + 1 if results.total > offset + PAGE and number < LAST_PAGE else 0
    return FoundPage(_still_public(results.hits), results.total, number - 1, later)


def _still_public(hits: Iterable[Hit]) -> list[Found]:
    """Return the posts that may be read now: the index may be a moment behind."""
    by_id = {uuid.UUID(str(hit.document["id"])): hit for hit in hits}
    images = Prefetch("images", PostImage.objects.order_by("number"))
    posts = (
        Post.objects.published().defer("text", "html").select_related("author").prefetch_related(images).in_bulk(by_id)
    )
    return [_found(posts[key], hit) for key, hit in by_id.items() if key in posts]


def _found(post: Post, hit: Hit) -> Found:
    return Found(
        post,
        title=marked(hit.highlighted.get("title") or post.title),
        snippet=marked(shortened(hit.highlighted.get("text") or post.excerpt)),
    )


def shortened(text: str) -> str:
    """Return a highlighted text with at most MAX_SNIPPET characters of its own, from a little before the first mark."""
    if len(text) <= MAX_SNIPPET:
        return text
    start = max(0, text.find(MARK_BEGIN) - MAX_SNIPPET // 3)
    cut = text[start : start + MAX_SNIPPET]
    closing = MARK_END if cut.rfind(MARK_BEGIN) > cut.rfind(MARK_END) else ""
    return f"{'…' if start else ''}{cut}{closing}{'…' if start + MAX_SNIPPET < len(text) else ''}"


def marked(text: str) -> SafeString:
    """Return a highlighted text as HTML, with `<mark>` around what matched and everything else escaped."""
    html = _MARKED.sub(r"<mark>\1</mark>", str(escape(text)))
    # A text may hold the signs itself; alone they mean nothing.
    return mark_safe(html.replace(MARK_BEGIN, "").replace(MARK_END, ""))  # noqa: S308  Escaped above.
