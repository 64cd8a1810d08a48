"""The jobs of this app."""

import uuid
from collections.abc import Sequence

from jobs import Cancel, job
from posts.models import PostImage
from posts.sitemap import build
from storage.pipeline import Made
from storage.tasks import settled


@job(name="posts.show_variants", queue="default")
def show_variants(variants: Sequence[Made], image_id: str) -> str:
    """Show an image in its smaller versions from now on: the last link of its pipeline."""
    if not PostImage.objects.filter(pk=uuid.UUID(image_id)).update(variants=list(variants)):
        raise Cancel(f"The image {image_id} was deleted.")
    return f"{len(variants)} variants"


@job(name="posts.sitemap", queue="maintenance", max_retries=3, time_limit=2 * 3600, unique=True)
def write_sitemap() -> str:
    """Write the sitemap of all published posts anew."""
    with settled():
        return str(build.write())
