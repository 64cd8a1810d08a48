"""A pipeline: each step is a job, enqueued in the transaction that records the step before.

What a step is given and what it returns are paths. Pictures are no arguments: these are kept in the ledger. A step may
run again after its effect, so it writes the same file again, whole or not at all.
"""

from pathlib import Path
from typing import Any

from celery import chain
from PIL import Image, ImageOps

from jobs import job


def thumbnails(source: str, width: int) -> Any:
    """Enqueue the pipeline for a picture; return the result of its last step."""
    return chain(strip.s(source), shrink.s(width)).apply_async()


@job(time_limit=60, retry_backoff_max=60)
def strip(source: str) -> str:
    """Turn a picture upright; drop what stands beside its pixels, such as where it was taken. Return the path."""
    with Image.open(source) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        plain = Image.new("RGB", upright.size)
        plain.paste(upright)
    return _saved(plain, Path(source).with_suffix(".plain.jpg"))


@job(time_limit=60, retry_backoff_max=60)
def shrink(source: str, width: int) -> str:
    """Make a picture at most that wide. Return the new path."""
    with Image.open(source) as image:
        image.thumbnail((width, image.height))
        return _saved(image, Path(source).with_suffix(f".{width}.jpg"))


def _saved(image: Image.Image, path: Path) -> str:
    half = path.with_suffix(".part")
    image.save(half, "JPEG", quality=85)
    half.replace(path)
    return str(path)
