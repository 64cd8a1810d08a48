"""A dozen posts, written as an author writes them: their pictures are uploaded, and jobs make the smaller versions."""

import re
from datetime import timedelta
from pathlib import Path

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import User
from posts import services, uploads
from posts.models import Post
from posts.services import Content
from project.demo import pictures
from storage.errors import StorageError

#: Newest first; each begins with its title.
_FILE = Path(__file__).with_name("posts.md")


def write(author: User) -> bool:
    """Write them, one a day. Return whether they have pictures: not where the content store takes none."""
    now, pictured = timezone.now(), True
    for index, (title, text) in reversed(list(enumerate(_texts()))):
        try:
            content = _with_picture(index, title, text) if pictured else Content(title, text)
            post = services.create(author, content, publish=True)
        except StorageError:
            # Nor will it take the others; each would wait as long for its answer.
            post, pictured = services.create(author, Content(title, text), publish=True), False
        written = now - timedelta(days=index, minutes=37 * index)
        Post.objects.filter(pk=post.pk).update(created_at=written, changed_at=written, published_at=written)
        post.images.update(alt="A town at night")
    return pictured


def _texts() -> list[tuple[str, str]]:
    """Return title and text of each."""
    posts = re.split(r"^# (.+)\n", _FILE.read_text(), flags=re.MULTILINE)[1:]
    return [(title, text.strip()) for title, text in zip(posts[::2], posts[1::2], strict=True)]


def _with_picture(index: int, title: str, text: str) -> Content:
    file = SimpleUploadedFile("night.jpg", pictures.night(index))
    return Content(title, text, [uploads.checked(file)])
