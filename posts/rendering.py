"""Renders anew, after a release, what an earlier version of the renderer made."""

from posts.models import RENDERED, Post

#: Posts read at once; a text may have 100,000 characters.
BATCH = 50


def is_due() -> bool:
    """Return whether any post waits for it."""
    return Post.objects.rendered_before().exists()


def render_all() -> int:
    """Render every post that waits for it; return how many. What an author saves meanwhile stays."""
    count = 0
    stale = Post.objects.rendered_before().order_by("pk").only("text")
    batch = list(stale[:BATCH])
    while batch:
        count += sum(map(_render, batch))
        batch = list(stale.filter(pk__gt=batch[-1].pk)[:BATCH])
    return count


def _render(post: Post) -> int:
    post.render()
    unchanged = Post.objects.filter(pk=post.pk, text=post.text)
    return unchanged.update(**{name: getattr(post, name) for name in RENDERED})
