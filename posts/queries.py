"""What the pages read: posts somebody may see, a page of them at a time."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import AnonymousUser
from django.db.models import Prefetch, Q
from django.db.models.query import QuerySet

from accounts.models import User
from posts.models import Post, PostImage

PAGE = 20

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PostPage:
    """A page of a list. `older` is the cursor of the next one, empty at the end."""

    posts: list[Post]
    older: str


def published(cursor: str = "") -> PostPage:
    """Return what everybody may read, the newest first, from the cursor on."""
    return _page(Post.objects.published().select_related("author"), "published_at", cursor)


def own(author: User, cursor: str = "") -> PostPage:
    """Return what somebody wrote, drafts too, the newest first, from the cursor on."""
    return _page(Post.objects.filter(author=author), "created_at", cursor)


def visible(user: User | AnonymousUser, slug: str) -> Post | None:
    """Return a post that this visitor may see."""
    post = Post.objects.select_related("author").prefetch_related("images").filter(slug=slug).first()
    return post if post and (post.is_published or may_see_draft(user, post)) else None


def may_see_draft(user: User | AnonymousUser, post: Post) -> bool:
    """Return whether this visitor may see the post unpublished: to change or delete it, one has to."""
    return _is_author(user, post) or any(user.has_perm(f"posts.{act}_post") for act in ("view", "change", "delete"))


def may_edit(user: User | AnonymousUser, post: Post) -> bool:
    """Return whether this visitor may change the post, publish it and take it back."""
    return _is_author(user, post) or user.has_perm("posts.change_post")


def may_delete(user: User | AnonymousUser, post: Post) -> bool:
    """Return whether this visitor may delete the post."""
    return _is_author(user, post) or user.has_perm("posts.delete_post")


def _is_author(user: User | AnonymousUser, post: Post) -> bool:
    return user.is_authenticated and user.pk == post.author_id


def _page(posts: QuerySet[Post], column: str, cursor: str) -> PostPage:
    position = _position(cursor)
    if position is not None:
        moment, post_id = position
        posts = posts.filter(Q(**{f"{column}__lt": moment}) | Q(**{column: moment, "pk__lt": post_id}))
    first = PostImage.objects.order_by("number")
    # Long, and no list shows them.
    posts = posts.defer("text", "html")
    found = list(posts.order_by(f"-{column}", "-pk").prefetch_related(Prefetch("images", first))[: PAGE + 1])
    shown = found[:PAGE]
    return PostPage(shown, _cursor(shown[-1], column) if len(found) > PAGE else "")


def _cursor(post: Post, column: str) -> str:
    microseconds = (getattr(post, column) - _EPOCH) // timedelta(microseconds=1)
    return f"{microseconds}-{post.pk.hex}"


def _position(cursor: str) -> tuple[datetime, uuid.UUID] | None:
    """Return where a page begins; whatever is no cursor of ours means the first one."""
    microseconds, _, hexadecimal = cursor.partition("-")
    try:
        return _EPOCH + timedelta(microseconds=int(microseconds)), uuid.UUID(hex=hexadecimal)
    except (ValueError, OverflowError):
        return None
