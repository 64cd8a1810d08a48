"""What of a post is searched: published ones, as documents of the index `posts`."""

from collections.abc import Iterator, Sequence

from posts.markdown import excerpt
from posts.models import MAX_TEXT, Post
from search import documents
from search.documents import Document, IndexSettings, Kind

SETTINGS = IndexSettings(
    searchable=("title", "text", "author"),
    filterable=("author_id",),
    sortable=("published_at",),
)


def register() -> None:
    """Declare posts to `search`."""
    documents.register(Kind("post", "posts", SETTINGS, load=_load, page=_page, count=_count))


def _load(ids: Sequence[str]) -> Iterator[Document]:
    for post in Post.objects.published().filter(pk__in=ids).select_related("author"):
        yield {
            "id": str(post.pk),
            "title": post.title,
            # Without the marks of Markdown, which nobody searches for.
            "text": excerpt(post.text, MAX_TEXT),
            "author": post.author.name,
            "author_id": str(post.author_id),
            "slug": post.slug,
            "published_at": post.published_at.timestamp() if post.published_at else None,
        }


def _page(after: str, limit: int) -> list[str]:
    found = Post.objects.published().order_by("pk")
    if after:
        found = found.filter(pk__gt=after)
    return [str(key) for key in found.values_list("pk", flat=True)[:limit]]


def _count() -> int:
    return Post.objects.published().count()
