"""From an original to its variants, in three stages: fetch → resize → upload.

Each stage can be repeated at any time with the same outcome, since it derives its keys from its input and writes
whole objects. Between stages only a few words travel; bytes wait in the content store below `work/`, and a stage
that finds them swept away makes them again.
"""

import io
from typing import TypedDict

from django.conf import settings

from storage import images, keys, references
from storage.client import Store, store
from storage.errors import ObjectMissing

#: Where variants wait for their upload. Nothing refers to them, so what is left behind is swept.
WORK = "work"


class Original(TypedDict):
    """An original that was fetched and found good: which one exactly, and below which key its variants go."""

    source: str
    target: str
    etag: str


class Made(TypedDict):
    """A variant: its place in the store, and its size."""

    key: str
    width: int
    height: int


class Resized(TypedDict):
    """An original, and what was made of it, by the keys that the variants will have."""

    original: Original
    variants: list[Made]


class NotWanted(Exception):
    """Raised where what an image belonged to has been deleted."""


def fetch(source: str, target: str) -> Original:
    """Make sure that the original is there and is an image we take; pin it, for the stages that follow.

    Raises:
        NotWanted: it is gone, as is what referred to it.
        StorageError: it is gone although something refers to it, is no image, or the store failed.
    """
    keys.check(target)
    try:
        stored = store("content").get(source, limit=settings.IMAGES_MAX_BYTES)
    except ObjectMissing as exc:
        if not references.referenced([source]):
            raise NotWanted(f"The original {keys.shown(source)} was deleted, with what it belonged to.") from exc
        raise
    images.inspect(io.BytesIO(stored.data), max_bytes=settings.IMAGES_MAX_BYTES, max_pixels=settings.IMAGES_MAX_PIXELS)
    return Original(source=source, target=target, etag=stored.etag)


def resize(original: Original) -> Resized:
    """Make the variants and put them aside. Raises StorageError, as for an original that is another one by now."""
    stored = store("content").get(original["source"], limit=settings.IMAGES_MAX_BYTES, etag=original["etag"])
    made = []
    for variant in images.variants(stored.data, settings.IMAGES_WIDTHS, max_pixels=settings.IMAGES_MAX_PIXELS):
        key = keys.check(f"{original['target']}/{variant.name}")
        store("content").put(aside(key), variant.data, content_type=images.WEBP)
        made.append(Made(key=key, width=variant.width, height=variant.height))
    return Resized(original=original, variants=made)


def upload(resized: Resized) -> list[Made]:
    """Publish the variants in the assets store; return them, narrowest first.

    Raises:
        NotWanted: what the image belonged to was deleted meanwhile; nothing of it stays behind.
        StorageError: the store failed.
    """
    content, assets = store("content"), store("assets")
    source, variants = resized["original"]["source"], resized["variants"]
    for variant in variants:
        assets.put(variant["key"], _set_aside(content, resized, variant), content_type=images.WEBP)
    # Asked after writing: whoever deletes later deletes these too, by a job of its own.
    if not references.referenced([source]):
        assets.delete([variant["key"] for variant in variants])
        raise NotWanted(f"What the image {keys.shown(source)} belonged to was deleted.")
    content.delete([aside(variant["key"]) for variant in variants])
    return sorted(variants, key=lambda variant: variant["width"])


def aside(key: str) -> str:
    """Return where a variant waits, in the content store, for its upload."""
    return f"{WORK}/{key}"


def _set_aside(content: Store, resized: Resized, variant: Made) -> bytes:
    """Return a variant's bytes, made again where they were swept away."""
    waiting = aside(variant["key"])
    try:
        return content.get(waiting, limit=images.MAX_VARIANT_BYTES).data
    except ObjectMissing:
        resize(resized["original"])
        return content.get(waiting, limit=images.MAX_VARIANT_BYTES).data
