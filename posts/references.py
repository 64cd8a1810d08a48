"""Tells `storage` which objects below `posts/` are in use."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence

from django.conf import settings

from posts import layout
from posts.models import PostImage, Variant
from posts.sitemap import place
from storage import references


def register() -> None:
    """Answer for this app's prefixes. Called once, at start."""
    references.register(layout.PREFIX, referenced)
    # What is stale there is removed by the job that writes it.
    references.register(place.PREFIX, references.keep_all)


def referenced(keys: Collection[str]) -> set[str]:
    """Return those keys that an image of a post has, or will have when its variants are made; one query."""
    asked: dict[uuid.UUID, set[str]] = defaultdict(set)
    for key in keys:
        image_id = layout.image_id(key)
        if image_id is not None:
            asked[image_id].add(key)
    rows = PostImage.objects.filter(pk__in=asked).values_list("pk", "key", "variants")
    return {key for pk, original, variants in rows for key in asked[pk] & used(original, variants)}


def used(original: str, variants: Sequence[Variant]) -> set[str]:
    """Return every key that an image may have in either store."""
    made = {variant["key"] for variant in variants}
    return {original, *made, *layout.variants(original, settings.IMAGES_WIDTHS)}
