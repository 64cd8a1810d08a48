"""How a post's images are shown: their variants where they are made; until then its author sees the originals."""

from collections.abc import Iterable

from posts.markdown import Picture
from posts.models import PostImage
from storage.client import store
from storage.errors import StorageError


def picture(image: PostImage, *, own: bool = False) -> Picture | None:
    """Return how an image is shown, to those who may change it with `own`; None while there is nothing to be shown."""
    try:
        if not image.variants:
            # It may tell where it was taken, so nobody else gets it.
            shown = store("content").guarded_url(image.key) if own and not image.problem else ""
            return Picture(shown, image.width, image.height, image.alt) if shown else None
        assets = store("assets")
        address = assets.url if image.is_public and image.post.is_published else assets.guarded_url
        sources = [f"{address(one['key'])} {one['width']}w" for one in image.variants]
        largest = image.variants[-1]
        src = address(largest["key"])
        return Picture(src, largest["width"], largest["height"], image.alt, ", ".join(sources))
    except StorageError:
        return None


def pictures(images: Iterable[PostImage], *, own: bool = False) -> dict[int, Picture]:
    """Return all that can be shown, by the numbers that the text uses."""
    return {image.number: shown for image in images if (shown := picture(image, own=own))}
