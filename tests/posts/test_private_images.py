"""Images of drafts, and originals, are for their author only; publishing exposes the variants, and back again."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from jobs.models import Job
from posts import layout, references, services
from posts.models import Post, PostImage
from posts.services import Content
from posts.tasks import place_images, show_variants
from storage import references as registry
from storage.tasks import fetch_image, resize_image, upload_image
from tests.posts.conftest import released, upload
from tests.storage.stores import Stores

Write = Callable[..., Post]


def process(post: Post) -> list[PostImage]:
    """Do what the jobs of a post's images would do."""
    for image in post.images.all():
        fetched = fetch_image(image.key, layout.directory(post.pk, image.pk))
        show_variants(upload_image(resize_image(fetched)), str(image.pk))
    return list(post.images.all())


def follow(post: Post) -> None:
    """Do what the job of a publication would do."""
    jobs = Job.objects.filter(task="posts.place_images")
    assert jobs.get().args == [str(post.pk)]
    place_images(str(post.pk))
    jobs.delete()


def address(key: str, store: str = "assets") -> str:
    return f"/media/{store}/{key}"


def keys(image: PostImage) -> list[str]:
    return [one["key"] for one in image.variants]


def assert_hidden(client: Client, stores: Stores, image: PostImage) -> None:
    assert stores.keys("assets") == []
    for key in (image.key, *layout.variants(image.key, [320, 640, 1280, 1920])):
        for place in ("assets", "content"):
            assert client.get(address(key, place)).status_code == 404
            assert client.get(address(f"work/{key}", place)).status_code == 404


def test_images_of_a_draft_are_served_to_its_author_alone(
    client: Client, stores: Stores, write: Write, ada: User, bob: User
) -> None:
    draft = write(publish=False, text="![](image:1)", uploads=[upload()])
    [image] = process(draft)
    assert len(image.variants) == 3
    assert_hidden(client, stores, image)
    client.force_login(bob)
    assert_hidden(client, stores, image)
    client.force_login(ada)
    page = client.get(draft.get_absolute_url())
    assert "no-store" in page["Cache-Control"]
    for key in keys(image):
        assert address(key) in page.text
        answer = client.get(address(key))
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
        assert answer["Cache-Control"] == "private, no-store"


def test_publishing_exposes_them_and_taking_back_hides_them(
    client: Client, stores: Stores, write: Write, ada: User
) -> None:
    post = write(publish=False, uploads=[upload()])
    [image] = process(post)
    for _ in range(2):
        services.publish(post)
        # Already before the job has run.
        assert client.get(address(keys(image)[0])).status_code == 200
        follow(post)
        assert stores.keys("assets") == sorted(keys(image))
        assert stores.keys() == [image.key]
        answer = client.get(address(keys(image)[0]))
        assert "public" in answer["Cache-Control"]
        assert "Cookie" not in answer.get("Vary", "")
        services.unpublish(post)
        # Already before the job has run.
        assert client.get(address(keys(image)[0])).status_code == 404
        follow(post)
        assert_hidden(client, stores, image)
    client.force_login(ada)
    assert client.get(address(keys(image)[0])).status_code == 200


def test_saving_and_publishing_in_one_exposes_them(stores: Stores, write: Write) -> None:
    post = write(publish=False, uploads=[upload()])
    [image] = process(post)
    services.update(post, Content("T", "T"))
    assert not Job.objects.filter(task="posts.place_images").exists()
    services.update(post, Content("T", "T"), publish=True)
    follow(post)
    assert stores.keys("assets") == sorted(keys(image))


def test_the_public_address_is_used_for_what_is_there(
    client: Client, stores: Stores, settings: Settings, write: Write, ada: User
) -> None:
    settings.STORAGE_PUBLIC_URL = settings.ASSETS_PUBLIC_URL = "https://cdn.example.com"
    post = write(publish=False, text="![](image:1)", uploads=[upload()])
    process(post)
    client.force_login(ada)

    def uses_it() -> bool:
        pages = [post.get_absolute_url(), f"{post.get_absolute_url()}edit/", "/posts/mine/"]
        found = {"https://cdn.example.com" in client.get(page).text for page in pages}
        assert len(found) == 1
        return found.pop()

    assert not uses_it()
    services.publish(post)
    assert not uses_it()
    follow(post)
    assert uses_it()
    services.unpublish(post)
    assert not uses_it()


@pytest.mark.parametrize("published", [True, False])
def test_an_original_is_never_public(
    client: Client, stores: Stores, settings: Settings, write: Write, ada: User, bob: User, published: bool
) -> None:
    settings.STORAGE_PUBLIC_URL = settings.ASSETS_PUBLIC_URL = "https://cdn.example.com"
    post = write(publish=published, text="![](image:1)", uploads=[upload(), upload()])
    original = address(post.images.all()[0].key, "content")
    assert "original.jpg" not in client.get(post.get_absolute_url()).text + client.get("/posts/").text
    assert client.get(original).status_code == 404
    client.force_login(bob)
    assert client.get(original).status_code == 404
    client.force_login(ada)
    answer = client.get(original)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-store")
    # Until there is something better.
    assert original in client.get(post.get_absolute_url()).text


def test_who_may_see_drafts_sees_their_images_but_not_the_originals(
    client: Client, stores: Stores, write: Write, bob: User
) -> None:
    [image] = process(write(publish=False, uploads=[upload()]))
    bob.is_staff = True
    bob.save()
    bob.user_permissions.add(Permission.objects.get(codename="view_post"))
    client.force_login(bob)
    assert client.get(address(keys(image)[0])).status_code == 200
    assert client.get(address(image.key, "content")).status_code == 404


def test_an_image_published_while_it_is_made_is_placed_by_its_last_job(stores: Stores, write: Write) -> None:
    post = write(publish=False, uploads=[upload()])
    image = post.images.get()
    made = upload_image(resize_image(fetch_image(image.key, layout.directory(post.pk, image.pk))))
    assert stores.keys("assets") == []
    services.publish(post)
    assert not Job.objects.filter(task="posts.place_images").exists()
    show_variants(made, str(image.pk))
    image.refresh_from_db()
    assert stores.keys("assets") == sorted(keys(image))
    assert image.is_public


def test_what_is_lost_on_the_way_is_made_again(stores: Stores, write: Write) -> None:
    post = write(uploads=[upload()])
    [image] = process(post)
    stores.assets.delete(keys(image))
    place_images(str(post.pk))
    assert stores.keys("assets") == sorted(keys(image))
    services.unpublish(post)
    stores.assets.delete(keys(image))
    place_images(str(post.pk))
    assert stores.keys() == sorted([image.key, *(f"work/{key}" for key in keys(image))])


def test_variants_that_wait_are_in_use_as_long_as_their_image_is_there(stores: Stores, write: Write) -> None:
    post = write(publish=False, uploads=[upload()])
    [image] = process(post)
    waiting = {f"work/{key}" for key in keys(image)}
    assert registry.referenced([*waiting, image.key, "work/posts/x", "work/other"]) == {*waiting, image.key}
    assert registry.published([*waiting, image.key, *keys(image)]) == set()
    services.delete(post)
    assert registry.referenced([*waiting, image.key]) == set()


def test_only_variants_of_published_posts_are_published(stores: Stores, write: Write) -> None:
    [image] = process(write(uploads=[upload()]))
    assert references.published([image.key, *keys(image), "posts/x"]) == set(keys(image))


def test_what_could_not_be_hidden_is_tried_again_by_the_next_release(stores: Stores, write: Write) -> None:
    post = write(uploads=[upload()])
    process(post)
    services.unpublish(post)
    # Its job gave up.
    Job.objects.all().delete()
    released()
    follow(post)
    assert stores.keys("assets") == []
    released()
    assert not Job.objects.filter(task="posts.place_images").exists()


def test_a_release_hides_what_drafts_had_in_public(stores: Stores, write: Write) -> None:
    draft, post = write(publish=False, uploads=[upload()]), write(uploads=[upload()])
    [hidden], [shown] = process(draft), process(post)
    # As it was before: all variants in public.
    for key in keys(hidden):
        stores.assets.put(key, stores.content.get(f"work/{key}", limit=10**6).data, content_type="image/webp")
    stores.content.delete([f"work/{key}" for key in keys(hidden)])
    PostImage.objects.update(is_public=True)
    Job.objects.all().delete()
    released()
    follow(draft)
    assert stores.keys("assets") == sorted(keys(shown))
    assert {f"work/{key}" for key in keys(hidden)} <= set(stores.keys())
