"""What can be done with a post. Each function is one transaction; what follows from it are jobs of that transaction."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from accounts.models import User
from posts import layout, references, uploads
from posts.markdown import excerpt
from posts.models import MAX_EXCERPT, Post, PostImage
from posts.tasks import place_images, show_variants
from posts.uploads import Upload
from search.tasks import index_document
from storage.pipeline import aside
from storage.tasks import delete_all, process_image

_SLUG_WORDS = 60


@dataclass(frozen=True, slots=True)
class Content:
    """What an author writes.

    Attributes:
        uploads: images to be added.
        alts: new descriptions of images, by their ids.
        removed: ids of images to be taken out.
    """

    title: str
    text: str
    uploads: Sequence[Upload] = ()
    alts: Mapping[uuid.UUID, str] = field(default_factory=dict)
    removed: frozenset[uuid.UUID] = frozenset()


def create(author: User, content: Content, *, publish: bool = False) -> Post:
    """Write a new post. Raises StorageError where the content store does not take an image; nothing is saved then."""
    now = timezone.now()
    post = Post(author=author, created_at=now, published_at=now if publish else None)
    _fill(post, content)
    images = _kept(post, content.uploads)
    with transaction.atomic():
        post.last_image = len(images)
        post.save(force_insert=True)
        _add(images, first=1)
        _search_must_look(post.pk)
    return post


def update(post: Post, content: Content, *, publish: bool = False) -> None:
    """Change a post; publish it, too, if asked. Raises StorageError as `create` does."""
    images = _kept(post, content.uploads)
    with transaction.atomic():
        # Whatever else was changed since the caller read it stays.
        current = Post.objects.select_for_update().get(pk=post.pk)
        _fill(current, content)
        published_now = publish and not current.is_published
        if published_now:
            current.published_at = current.changed_at
        first = current.last_image + 1
        current.last_image += len(images)
        current.save()
        _describe(current, content.alts)
        _remove(current, content.removed)
        _add(images, first=first)
        if published_now:
            _place_images(current.pk)
        _search_must_look(current.pk)
    post.refresh_from_db()


@transaction.atomic
def publish(post: Post) -> None:
    """Let everybody read it."""
    now = timezone.now()
    if Post.objects.filter(pk=post.pk, published_at=None).update(published_at=now, changed_at=now):
        _place_images(post.pk)
        _search_must_look(post.pk)


@transaction.atomic
def unpublish(post: Post) -> None:
    """Make it a draft again."""
    if Post.objects.filter(pk=post.pk, published_at__isnull=False).update(published_at=None):
        _place_images(post.pk)
        _search_must_look(post.pk)


@transaction.atomic
def delete(post: Post) -> None:
    """Delete a post with its images; their objects go by jobs of their own."""
    post_id = post.pk
    _forget(post.images.all())
    post.delete()
    _search_must_look(post_id)


def delete_all_of(author_id: uuid.UUID) -> None:
    """Delete all that somebody wrote, as `delete` does, in the caller's transaction."""
    _forget(PostImage.objects.filter(post__author_id=author_id).iterator())
    ids = list(Post.objects.filter(author_id=author_id).values_list("pk", flat=True))
    Post.objects.filter(author_id=author_id).delete()
    index_document.delay_many(("post", str(post_id)) for post_id in ids)


def _fill(post: Post, content: Content) -> None:
    post.title, post.text = content.title, content.text
    post.excerpt = excerpt(content.text, MAX_EXCERPT)
    post.changed_at = timezone.now()
    if not post.is_published or not post.slug:
        post.slug = slug(post.title, post.pk)


def slug(title: str, post_id: uuid.UUID) -> str:
    """Return the address of a post: its title's words, and of its id what no other one has."""
    words = slugify(title)[:_SLUG_WORDS].strip("-")
    return f"{words or 'post'}-{post_id.hex[-12:]}"


def _kept(post: Post, files: Iterable[Upload]) -> list[PostImage]:
    return [uploads.keep(post, upload) for upload in files]


def _add(images: Sequence[PostImage], *, first: int) -> None:
    for number, image in enumerate(images, first):
        image.number = number
    PostImage.objects.bulk_create(images)
    for image in images:
        process_image(image.key, layout.directory(image.post_id, image.pk), show_variants.s(str(image.pk)))


def _describe(post: Post, alts: Mapping[uuid.UUID, str]) -> None:
    for image_id, alt in alts.items():
        post.images.filter(pk=image_id).update(alt=alt)


def _remove(post: Post, removed: frozenset[uuid.UUID]) -> None:
    if removed:
        doomed = post.images.filter(pk__in=removed)
        _forget(doomed)
        doomed.delete()


def _forget(images: Iterable[PostImage]) -> None:
    """Enqueue the deletion of all that these images have in the stores, or are about to have."""
    content, assets = [], []
    for image in images:
        variants = sorted(references.used(image.key, image.variants) - {image.key})
        content += [image.key, *map(aside, variants)]
        assets += variants
    delete_all("content", content)
    delete_all("assets", assets)


def _place_images(post_id: uuid.UUID) -> None:
    """Have the images follow where the post was published or taken back."""
    if PostImage.objects.made().filter(post_id=post_id).exists():
        place_images.delay(str(post_id))


def _search_must_look(post_id: uuid.UUID) -> None:
    """Have the search index look at the post's present state: changed, hidden or gone."""
    index_document.delay("post", str(post_id))
