"""Where the objects of a post lie: keys from ids, and back. Pure."""

import uuid
from collections.abc import Iterable, Sequence

from storage import keys
from storage.images import variant_name

#: Everything below it belongs to posts.
PREFIX = "posts/"


def directory(post_id: uuid.UUID, image_id: uuid.UUID) -> str:
    """Return the key below which an image's objects lie."""
    return keys.join("posts", post_id.hex, image_id.hex)


def original(post_id: uuid.UUID, image_id: uuid.UUID, extension: str) -> str:
    """Return the key of an uploaded image."""
    return keys.join("posts", post_id.hex, image_id.hex, f"original.{extension}")


def variants(original_key: str, widths: Iterable[int]) -> list[str]:
    """Return the keys that an image's variants have or will have."""
    base = original_key.rpartition("/")[0]
    return [f"{base}/{variant_name(width)}" for width in widths]


def image_id(key: str) -> uuid.UUID | None:
    """Return whose object this is, or None for a key that is not of this layout."""
    parts: Sequence[str] = key.split("/")
    if len(parts) != 4 or f"{parts[0]}/" != PREFIX:
        return None
    try:
        return uuid.UUID(hex=parts[2])
    except ValueError:
        return None
