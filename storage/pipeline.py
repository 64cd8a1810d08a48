"""From an original to its variants, in three stages: fetch → resize → upload; and from there to the public, and back.

Each stage can be repeated at any time with the same outcome, since it derives its keys from its input and writes
whole objects. Between stages only a few words travel; bytes wait in the content store below `work/`, and a stage
that finds them swept away makes them again.
"""

import io
from collections.abc import Callable, Sequence
from typing import TypedDict

from django.conf import settings

from storage import images, keys, references
from storage.client import store
from storage.errors import ObjectMissing, StorageError

#: Where variants wait to be published. Unless their app says that they are in use there, they are swept in the end.
WORK = "work"

#: How often an image is looked at anew that is published or taken back while it is placed.
PLACINGS = 5


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
    """Bring the variants where they belong; return them, narrowest first.

    Raises:
        NotWanted: what the image belonged to was deleted meanwhile; nothing of it stays behind.
        StorageError: the store failed.
    """
    source = resized["original"]["source"]
    variants = [variant["key"] for variant in resized["variants"]]
    if references.referenced([source]):
        place(variants, lambda: resize(resized["original"]))
    # Asked again after writing: whoever deletes later deletes these too, by a job of its own.
    if not references.referenced([source]):
        store("assets").delete(variants)
        store("content").delete([aside(key) for key in variants])
        raise NotWanted(f"What the image {keys.shown(source)} belonged to was deleted.")
    return sorted(resized["variants"], key=lambda variant: variant["width"])


def place(variants: Sequence[str], remake: Callable[[], object]) -> bool:
    """Bring an image's variants where they belong: published ones into the assets store, others where they wait.

    Several at once, and a publication or its end meanwhile, do no harm: whoever acted looks again, and `remake`
    makes variants anew, where they wait, that two of them removed from both places.

    Returns:
        Whether they are published.

    Raises:
        StorageError: a store failed.
    """
    for _ in range(PLACINGS):
        published = _are_published(variants)
        waiting, public = _where(variants)
        if set(variants) - waiting - public:
            remake()
            waiting, public = _where(variants)
        try:
            if published:
                _publish(variants, waiting)
            else:
                _withdraw(variants, public - waiting)
        except ObjectMissing:
            # Somebody else moved it.
            continue
        if _are_published(variants) == published:
            return published
    raise StorageError(f"The image of {keys.shown(variants[0])} is published and taken back all the time.")


def _are_published(variants: Sequence[str]) -> bool:
    return references.published(variants) == set(variants)


def _where(variants: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return which variants wait, and which are public."""
    directory = variants[0].rpartition("/")[0] + "/"
    waiting = {one.key for page in store("content").pages(aside(directory)) for one in page.objects}
    public = {one.key for page in store("assets").pages(directory) for one in page.objects}
    return {key for key in variants if aside(key) in waiting}, public & set(variants)


def _publish(variants: Sequence[str], waiting: set[str]) -> None:
    content, assets = store("content"), store("assets")
    for key in sorted(waiting):
        data = content.get(aside(key), limit=images.MAX_VARIANT_BYTES).data
        assets.put(key, data, content_type=images.WEBP)
    if _are_published(variants):
        # What would not go is in nobody's way.
        content.delete([aside(key) for key in sorted(waiting)])


def _withdraw(variants: Sequence[str], only_public: set[str]) -> None:
    content, assets = store("content"), store("assets")
    for key in sorted(only_public):
        data = assets.get(key, limit=images.MAX_VARIANT_BYTES).data
        content.put(aside(key), data, content_type=images.WEBP)
    if kept := assets.delete(variants):
        raise StorageError(
            f"{assets.conf} still shows everybody what is not published: " + "; ".join(map(str, kept)) + ".",
            permanent=all(one.permanent for one in kept),
        )


def aside(key: str) -> str:
    """Return where a variant waits, in the content store, until it is published."""
    return f"{WORK}/{key}"
