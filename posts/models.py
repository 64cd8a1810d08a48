"""What people write, and the images that go with it."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypedDict

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from uuid_utils.compat import uuid7

from posts import markdown

MAX_TITLE = 200
MAX_TEXT = 100_000
MAX_EXCERPT = 300
MAX_ALT = 200
MAX_PROBLEM = 300

#: The fields that `Post.render` fills.
RENDERED = ("html", "placed", "rendered_by")


class Variant(TypedDict):
    """A smaller version of an image in the assets store."""

    key: str
    width: int
    height: int


class PostQuerySet(models.QuerySet["Post"]):
    """Posts by what may be done with them."""

    def published(self) -> "PostQuerySet":
        """Return what everybody may read."""
        return self.filter(published_at__isnull=False)

    def rendered_before(self) -> "PostQuerySet":
        """Return those that an earlier version rendered, or none did."""
        return self.exclude(rendered_by=markdown.VERSION)


class Post(models.Model):
    """A text in Markdown. A draft until it is published, and again when it is taken back."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="posts")
    title = models.CharField(max_length=MAX_TITLE)
    #: Its address; kept once it was published, whatever becomes of the title.
    slug = models.CharField(max_length=80, unique=True, editable=False)
    text = models.TextField(max_length=MAX_TEXT)
    #: The text as safe HTML without its images, the numbers of those that stand in it, and the version of
    #: `posts.markdown` that rendered it; 0 for none. A text is rendered when it is saved, never when it is read.
    html = models.TextField("HTML", blank=True, db_default="", editable=False)
    placed: "models.JSONField[list[int], list[int]]" = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField()), editable=False
    )
    rendered_by = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    #: The beginning as plain text, for lists.
    excerpt = models.CharField(max_length=MAX_EXCERPT, blank=True, editable=False)
    #: The number of the image added last. It only grows, so what the text says of a removed image never means another.
    last_image = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    changed_at = models.DateTimeField("changed", default=timezone.now, editable=False)
    published_at = models.DateTimeField("published", null=True, blank=True, editable=False)

    objects = PostQuerySet.as_manager()

    class Meta:
        """Newest first; the indexes serve the two lists and the sitemap's walk by id."""

        ordering = ("-created_at", "-id")
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["-published_at", "-id"],
                condition=models.Q(published_at__isnull=False),
                name="posts_post_newest",
            ),
            models.Index(fields=["author", "-created_at", "-id"], name="posts_post_own"),
            models.Index(fields=["id"], condition=models.Q(published_at__isnull=False), name="posts_post_walk"),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save it, its text rendered."""
        fields = None if update_fields is None else set(update_fields)
        if fields is None or "text" in fields:
            self.render()
            fields = fields and fields.union(RENDERED)
        super().save(update_fields=fields, **kwargs)

    def get_absolute_url(self) -> str:
        """Return its page."""
        return reverse("posts:show", args=[self.slug])

    def render(self) -> None:
        """Render the text, to be saved with it."""
        self.html, self.placed = markdown.body(self.text), sorted(markdown.placed(self.text))
        self.rendered_by = markdown.VERSION

    def shown(self, pictures: Mapping[int, markdown.Picture]) -> SafeString:
        """Return the text as HTML with its images, by their numbers. Renders nothing."""
        return markdown.fill(self.html, pictures) if self.rendered_by else markdown.unrendered(self.text)

    @property
    def is_published(self) -> bool:
        """Whether everybody may read it."""
        return self.published_at is not None


class PostImageQuerySet(models.QuerySet["PostImage"]):
    """Images by what is to be done with them."""

    def made(self) -> "PostImageQuerySet":
        """Return those whose variants are made."""
        return self.exclude(variants=[])

    def misplaced(self) -> "PostImageQuerySet":
        """Return those whose variants are public and should not be, or the other way round."""
        published = models.Q(post__published_at__isnull=False)
        return self.made().filter((published & models.Q(is_public=False)) | (~published & models.Q(is_public=True)))


class PostImage(models.Model):
    """An image of a post: the original and, while the post is a draft, its variants in the content store.

    The variants of a published post are in the assets store.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="images")
    key = models.CharField(max_length=200, unique=True, editable=False)
    content_type = models.CharField(max_length=50, editable=False)
    width = models.PositiveIntegerField(editable=False)
    height = models.PositiveIntegerField(editable=False)
    #: Counted from 1, unique in the post for good: the text refers to it.
    number = models.PositiveSmallIntegerField(editable=False)
    alt = models.CharField("description", max_length=MAX_ALT, blank=True)
    #: Narrowest first; empty until they are made, and as long its author is shown the original.
    variants: "models.JSONField[list[Variant], list[Variant]]" = models.JSONField(default=list, editable=False)
    #: Whether the variants lie where everybody may read them: from a little after the post is published until a little
    #: after it is taken back.
    is_public = models.BooleanField(default=False, db_default=False, editable=False)
    #: Why no variants can be made of it.
    problem = models.CharField(max_length=MAX_PROBLEM, blank=True, db_default="", editable=False)
    added_at = models.DateTimeField("added", default=timezone.now, editable=False)

    objects = PostImageQuerySet.as_manager()

    class Meta:
        """In the order in which they were added."""

        ordering = ("number",)
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("post", "number"), name="posts_image_number_is_unique"),
        ]

    def __str__(self) -> str:
        return self.alt or f"image {self.number}"

    @property
    def is_ready(self) -> bool:
        """Whether its variants are there."""
        return bool(self.variants)

    @property
    def is_pending(self) -> bool:
        """Whether its variants are on their way."""
        return not (self.variants or self.problem)


def new_image_id() -> uuid.UUID:
    """Return an id for an image whose key is made before its row."""
    return uuid7()
