"""How a post's images are shown: variants where they are there, else the original."""

from collections.abc import Iterable

from posts.markdown import Picture
from posts.models import PostImage
from storage.client import store
from storage.errors import StorageError


def picture(image: PostImage) -> Picture | None:
    """Return how an image is shown, or None while its store is not configured."""
    try:
        if not image.variants:
            return Picture(store("content").url(image.key), image.width, image.height, image.alt)
        assets = store("assets")
        sources = [f"{assets.url(one['key'])} {one['width']}w" for one in image.variants]
        largest = image.variants[-1]
        src = assets.url(largest["key"])
        return Picture(src, largest["width"], largest["height"], image.alt, ", ".join(sources))
    except StorageError:
        return None


def pictures(images: Iterable[PostImage]) -> dict[int, Picture]:
    """Return all that can be shown, by the numbers that the text uses."""
    return {image.number: shown for image in images if (shown := picture(image))}
