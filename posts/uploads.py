"""An uploaded file on its way into the content store: checked by its content, written under a key of ours."""

from dataclasses import dataclass
from typing import IO, Any, cast

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from posts import layout
from posts.models import Post, PostImage, new_image_id
from storage import images
from storage.client import store
from storage.images import ImageInfo

#: One post has no more; a request with more files is not read to its end.
MAX_IMAGES = 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file found to be an image we take."""

    file: "UploadedFile[Any]"
    info: ImageInfo


def checked(file: "UploadedFile[Any]") -> Upload:
    """Return the file if it is an image we take. Raises storage.errors.InvalidImage."""
    info = images.inspect(
        cast("IO[bytes]", file),
        max_bytes=settings.IMAGES_MAX_BYTES,
        max_pixels=settings.IMAGES_MAX_PIXELS,
    )
    return Upload(file, info)


def keep(post: Post, upload: Upload) -> PostImage:
    """Write the original into the content store and return its row, not yet numbered and saved.

    Done before the transaction, which would else stay open as long as a store takes to answer. Where that then fails,
    the object is an orphan and goes as one. Raises StorageError.
    """
    image = PostImage(
        id=new_image_id(),
        post=post,
        content_type=upload.info.content_type,
        width=upload.info.width,
        height=upload.info.height,
    )
    image.key = layout.original(post.pk, image.pk, upload.info.extension)
    upload.file.seek(0)
    store("content").put(image.key, cast("IO[bytes]", upload.file.file), content_type=image.content_type)
    return image
