"""Tells `storage` which objects below `posts/` are in use, and who may read them."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import User
from posts import layout, queries
from posts.models import MAX_PROBLEM, PostImage, Variant
from posts.sitemap import place
from storage import references
from storage.pipeline import aside
from storage.references import Access


def register() -> None:
    """Answer for this app's prefixes. Called once, at start."""
    references.register(layout.PREFIX, referenced, Access(published, may_read), refused)
    references.register(aside(layout.PREFIX), waiting, Access(lambda _: set(), lambda *_: False))
    # What is stale there is removed by the job that writes it.
    references.register(place.PREFIX, references.keep_all)


def referenced(keys: Collection[str]) -> set[str]:
    """Return those keys that an image of a post has, or will have when its variants are made; one query."""
    return {key for key, _ in _images(keys, PostImage.objects.all())}


def waiting(keys: Collection[str]) -> set[str]:
    """Return those keys at which variants in use wait, or may wait again, to be published."""
    return {aside(key) for key in referenced([key.removeprefix(aside("")) for key in keys])}


def published(keys: Collection[str]) -> set[str]:
    """Return those keys that variants of published posts have. Originals tell where they were taken."""
    images = PostImage.objects.filter(post__published_at__isnull=False)
    return {key for key, original in _images(keys, images) if key != original}


def may_read(user: User | AnonymousUser, key: str) -> bool:
    """Return whether this visitor may see an image of a draft, or an original, which shows what its author hides."""
    image_id = layout.image_id(key)
    if image_id is None or not user.is_authenticated:
        return False
    image = PostImage.objects.select_related("post").filter(pk=image_id).first()
    if image is None or key not in used(image.key, image.variants):
        return False
    return (queries.may_edit if key == image.key else queries.may_see_draft)(user, image.post)


def refused(key: str, reason: str) -> None:
    """Note why an image cannot be shown, for its author to read."""
    PostImage.objects.filter(key=key).update(problem=reason[:MAX_PROBLEM])


def _images(keys: Collection[str], images: QuerySet[PostImage]) -> Iterator[tuple[str, str]]:
    """Yield those keys that one of the images has or will have, each with the key of its original."""
    asked: dict[uuid.UUID, set[str]] = defaultdict(set)
    for key in keys:
        image_id = layout.image_id(key)
        if image_id is not None:
            asked[image_id].add(key)
    for pk, original, variants in images.filter(pk__in=asked).values_list("pk", "key", "variants"):
        for key in asked[pk] & used(original, variants):
            yield key, original


def used(original: str, variants: Sequence[Variant]) -> set[str]:
    """Return every key that an image may have in either store."""
    made = {variant["key"] for variant in variants}
    return {original, *made, *layout.variants(original, settings.IMAGES_WIDTHS)}
