"""Which objects of posts are in use, and what their keys say."""

import uuid
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from posts import layout, references
from posts.models import Post
from posts.tasks import show_variants
from storage import references as registry
from tests.posts.conftest import upload
from tests.storage.stores import Stores

IMAGE = uuid.UUID(int=7)


def test_keys_lead_back_to_their_image() -> None:
    key = layout.original(uuid.UUID(int=1), IMAGE, "jpg")
    assert key == f"posts/{uuid.UUID(int=1).hex}/{IMAGE.hex}/original.jpg"
    assert layout.image_id(key) == IMAGE
    assert layout.variants(key, [320]) == [f"{layout.directory(uuid.UUID(int=1), IMAGE)}/w320.webp"]


@pytest.mark.parametrize(
    "key", ["posts/1/2/original.jpg", "posts/x", "other/a/b/c", f"work/posts/1/{IMAGE.hex}/w.webp"]
)
def test_other_keys_lead_nowhere(key: str) -> None:
    assert layout.image_id(key) is None


def test_originals_and_variants_made_or_to_be_made_are_in_use(stores: Stores, write: Callable[..., Post]) -> None:
    image = write(uploads=[upload()]).images.get()
    old = layout.variants(image.key, [99])[0]
    show_variants([{"key": old, "width": 99, "height": 50}], str(image.pk))
    expected = {image.key, old, *layout.variants(image.key, [320, 640, 1280, 1920])}
    others = {"posts/x", layout.variants(image.key, [7])[0], layout.original(image.post_id, IMAGE, "jpg")}
    with CaptureQueriesContext(connection) as queries:
        assert references.referenced(expected | others) == expected
    assert len(queries) == 1


def test_the_app_answers_for_its_prefixes() -> None:
    assert {"posts/", "sitemap/"} <= set(registry.prefixes())
    assert registry.referenced(["sitemap/sitemap.xml"]) == {"sitemap/sitemap.xml"}
