"""What the sitemap lists: the site's own pages, then every published post, walked by id a few thousand at a time."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from jobs import progress
from posts.models import Post, PostImage
from posts.pictures import picture
from posts.sitemap import xml

BATCH = 2_000

#: Before every id, and stands where a slug goes.
_NONE = uuid.UUID(int=0)

Row = tuple[uuid.UUID, str, datetime]


def entries() -> Iterator[bytes]:
    """Yield every page's element."""
    for name in ("front", "posts:list"):
        yield xml.entry(address(reverse(name)))
    before, _, after = address(reverse("posts:show", args=["SLUG"])).partition("SLUG")
    count = 0
    for batch in _batches():
        images = _images(batch[0][0], batch[-1][0])
        for post_id, slug, changed_at in batch:
            yield xml.entry(f"{before}{slug}{after}", changed_at, images.get(post_id, ()))
        count += len(batch)
        progress(count, message="posts")


def address(path: str) -> str:
    """Return the whole address of a page or image of this site; one elsewhere is whole already."""
    return settings.FRONTEND_HOST.rstrip("/") + path if path.startswith("/") else path


def _batches() -> Iterator[list[Row]]:
    posts = Post.objects.published().order_by("pk").values_list("pk", "slug", "changed_at")
    last = _NONE
    while batch := list(posts.filter(pk__gt=last)[:BATCH]):
        yield batch
        last = batch[-1][0]


def _images(first: uuid.UUID, last: uuid.UUID) -> dict[uuid.UUID, list[str]]:
    """Return the addresses of the images of all posts from one id to another."""
    found: dict[uuid.UUID, list[str]] = defaultdict(list)
    images = PostImage.objects.filter(post_id__gte=first, post_id__lte=last).order_by("post_id", "number")
    for image in images.select_related("post").defer("post__text", "post__html"):
        if shown := picture(image):
            found[image.post_id].append(address(shown.src))
    return found
