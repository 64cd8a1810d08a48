"""Services: the rows, and in the same transaction the jobs."""

import uuid
from collections.abc import Callable

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings

from accounts.models import User
from jobs import Cancel
from jobs.models import Job
from posts import layout, services
from posts.models import Post
from posts.services import Content
from posts.tasks import show_variants
from storage.errors import StorageError
from tests.posts.conftest import upload
from tests.servers import SeaweedFS
from tests.storage.stores import Stores

Write = Callable[..., Post]
WIDTHS = (320, 640, 1280, 1920)


def tasks() -> list[str]:
    return sorted(Job.objects.values_list("task", flat=True))


def test_a_post_has_an_address_of_its_title_and_its_own(write: Write) -> None:
    first, second = write("Grüé: aus der Nacht!"), write("Grüé: aus der Nacht!")
    assert first.slug == f"grue-aus-der-nacht-{first.pk.hex[-12:]}"
    assert first.slug != second.slug
    assert write("日本語").slug.startswith("post-")
    assert len(write("x" * 200).slug) <= 80


def test_a_published_post_keeps_its_address_and_a_draft_does_not(write: Write) -> None:
    published, draft = write("One"), write("One", publish=False)
    before = published.slug
    services.update(published, Content("Two", "Text."))
    services.update(draft, Content("Two", "Text."))
    assert published.slug == before
    assert draft.slug.startswith("two-")


def test_publishing_and_taking_back(write: Write) -> None:
    post = write(publish=False)
    services.publish(post)
    post.refresh_from_db()
    first = post.published_at
    services.publish(post)
    post.refresh_from_db()
    assert post.published_at == first
    services.unpublish(post)
    post.refresh_from_db()
    assert not post.is_published


def test_every_change_has_the_search_index_look_again(write: Write) -> None:
    post = write(publish=False)
    changes: list[Callable[[], None]] = [
        lambda: None,
        lambda: services.publish(post),
        lambda: services.update(post, Content("T", "T")),
        lambda: services.unpublish(post),
        lambda: services.delete(post),
    ]
    for change in changes:
        change()
        # One that waits for the same post stands for all.
        assert tasks() == ["search.index"]
        Job.objects.all().delete()


def test_images_are_stored_and_their_pipelines_enqueued(stores: Stores, write: Write) -> None:
    post = write(uploads=[upload(), upload(90, 60)])
    first, second = post.images.all()
    assert (first.number, second.number) == (1, 2)
    assert (second.width, second.height, second.content_type) == (90, 60, "image/jpeg")
    assert stores.keys() == sorted([first.key, second.key])
    assert tasks() == ["search.index", "storage.image.fetch", "storage.image.fetch"]


def test_a_rolled_back_post_leaves_no_jobs(stores: Stores, ada: User) -> None:
    with transaction.atomic():
        services.create(ada, Content("T", "T", [upload()]))
        assert tasks() == ["search.index", "storage.image.fetch"]
        transaction.set_rollback(True)
    assert not Post.objects.exists()
    assert tasks() == []


def test_a_store_that_is_gone_saves_nothing(seaweedfs: SeaweedFS, stores: Stores, ada: User) -> None:
    seaweedfs.kill()
    with pytest.raises(StorageError):
        services.create(ada, Content("T", "T", [upload()]))
    assert not Post.objects.exists()


def test_without_a_store_texts_can_be_written(settings: Settings, write: Write) -> None:
    settings.STORAGE_ENDPOINT = ""
    assert write().title
    with pytest.raises(StorageError, match="not configured"):
        write(uploads=[upload()])


def test_numbers_of_removed_images_are_not_given_again(stores: Stores, write: Write) -> None:
    post = write(uploads=[upload(), upload()])
    second = post.images.get(number=2)
    services.update(post, Content("T", "T", [upload()], alts={}, removed=frozenset({second.pk})))
    assert list(post.images.values_list("number", flat=True)) == [1, 3]


def test_removing_an_image_removes_all_its_objects_by_jobs(stores: Stores, write: Write) -> None:
    post = write(uploads=[upload()])
    image = post.images.get()
    services.update(post, Content("T", "T", removed=frozenset({image.pk})))
    variants = sorted(layout.variants(image.key, WIDTHS))
    arguments = dict(Job.objects.filter(task="storage.delete").values_list("args__0", "args__1"))
    assert arguments == {"content": [image.key, *(f"work/{key}" for key in variants)], "assets": variants}


def test_descriptions_can_be_changed_and_only_of_own_images(stores: Stores, write: Write) -> None:
    post, other = write(uploads=[upload()]), write(uploads=[upload()])
    own, foreign = post.images.get(), other.images.get()
    services.update(post, Content("T", "T", alts={own.pk: "A lamp", foreign.pk: "x"}, removed=frozenset({foreign.pk})))
    own.refresh_from_db()
    assert own.alt == "A lamp"
    assert other.images.get().alt == ""


def test_deleting_a_post_deletes_its_images_and_enqueues_their_objects(stores: Stores, write: Write) -> None:
    post = write(uploads=[upload(), upload()])
    services.delete(post)
    assert not Post.objects.exists()
    assert tasks().count("storage.delete") == 2


def test_variants_are_shown_from_then_on(stores: Stores, write: Write) -> None:
    image = write(uploads=[upload()]).images.get()
    assert not image.is_ready
    show_variants([{"key": "posts/1/2/w320.webp", "width": 320, "height": 160}], str(image.pk))
    image.refresh_from_db()
    assert image.is_ready


def test_variants_of_a_deleted_image_are_not_wanted(db: None) -> None:
    with pytest.raises(Cancel, match="was deleted"):
        show_variants([], str(uuid.uuid4()))
