"""Where the variants of images lie: with everybody's once their post is published, else where only its author gets."""

import uuid
from collections.abc import Callable, Iterable

from posts import layout
from posts.models import PostImage
from storage import pipeline


def place(image: PostImage) -> None:
    """Bring an image's variants where they belong, made anew if they got lost, and note where that is.

    Raises StorageError; NotWanted where the image is deleted.
    """
    directory = layout.directory(image.post_id, image.pk)
    _place(image, lambda: pipeline.resize(pipeline.fetch(image.key, directory)))


def follow(image: PostImage) -> None:
    """Do the same for variants that were placed a moment ago: the post may have been published or taken back since."""
    _place(image, lambda: None)


def _place(image: PostImage, remake: Callable[[], object]) -> None:
    is_public = pipeline.place([variant["key"] for variant in image.variants], remake)
    # If the post is in another state by now, another job is on its way.
    PostImage.objects.filter(pk=image.pk, post__published_at__isnull=not is_public).update(is_public=is_public)


def misplaced_posts() -> Iterable[uuid.UUID]:
    """Return the ids of posts with images that lie where they should not."""
    return PostImage.objects.misplaced().order_by("post_id").values_list("post_id", flat=True).distinct()
