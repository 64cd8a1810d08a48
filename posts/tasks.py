"""The jobs of this app."""

import uuid
from collections.abc import Sequence

from jobs import Cancel, job
from posts import placing, rendering
from posts.models import Post, PostImage
from posts.sitemap import build
from search.tasks import index_document
from storage.pipeline import Made
from storage.tasks import STORES, settled

#: Posts of one author whose jobs are enqueued in one go.
BATCH = 500


@job(name="posts.show_variants", queue="default")
def show_variants(variants: Sequence[Made], image_id: str) -> str:
    """Show an image in its smaller versions from now on: the last link of its pipeline."""
    images = PostImage.objects.filter(pk=uuid.UUID(image_id))
    if not images.update(variants=list(variants), problem=""):
        raise Cancel(f"The image {image_id} was deleted.")
    with settled():
        # From now on `place_images` sees them, too.
        for image in images:
            placing.follow(image)
    return f"{len(variants)} variants"


@job(name="posts.place_images", queue="storage", breaker=STORES, time_limit=300, unique=True)
def place_images(post_id: str) -> str:
    """Bring the images of a post where everybody, or nobody but its author, may read them."""
    images = PostImage.objects.made().filter(post_id=uuid.UUID(post_id))
    with settled():
        for image in images:
            placing.place(image)
    return f"{len(images)} images"


@job(name="posts.index_posts_of", queue="indexing", unique=True)
def index_posts_of(author_id: str) -> str:
    """Have all published posts of an author indexed anew: the author's name is in each."""
    posts = Post.objects.published().filter(author_id=uuid.UUID(author_id)).order_by("pk").values_list("pk", flat=True)
    count, last = 0, uuid.UUID(int=0)
    while batch := list(posts.filter(pk__gt=last)[:BATCH]):
        index_document.delay_many([("post", str(key)) for key in batch])
        count, last = count + len(batch), batch[-1]
    return f"{count:,} posts"


@job(name="posts.render", queue="maintenance", time_limit=2 * 3600, unique=True)
def render_posts() -> str:
    """Render what an earlier version of the renderer made anew."""
    return f"{rendering.render_all():,} posts"


@job(name="posts.sitemap", queue="maintenance", breaker=STORES, max_retries=3, time_limit=2 * 3600, unique=True)
def write_sitemap() -> str:
    """Write the sitemap of all published posts anew."""
    with settled():
        return str(build.write())
