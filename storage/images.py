"""Images as bytes: what a file really is, whether we take it, and its smaller versions. Neither store nor database.

A file is taken apart first (`storage.formats`): so what decoding it will cost is known before, and Pillow sees nothing
but pixels, whatever else a camera or a stranger wrote into it.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from celery.exceptions import SoftTimeLimitExceeded
from PIL import Image, UnidentifiedImageError

from storage import animations, colours, formats
from storage.errors import InvalidImage
from storage.formats.parsed import Parsed

#: What we take, by content: Pillow's name, the type a browser is told, the name's ending.
_FORMATS = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
}

#: WebP cannot be larger; nor can a screen.
MAX_SIDE = 16_000

#: Progressive JPEGs have about ten scans. Each costs a pass over all pixels, and may be a few bytes long.
MAX_SCANS = 64
#: The passes over all pixels together, as a multiple of the pixels allowed: seconds of work.
MAX_PASSES = 16

WEBP = "image/webp"

#: A version of an animation may have more bytes than the animation.
MAX_VARIANT_BYTES = 60_000_000
_QUALITY = 80

#: How an image is turned upright, by EXIF's number.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image's content says of itself; its name and its sender's claims count for nothing."""

    content_type: str
    extension: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Variant:
    """A smaller version of an image, as WebP without metadata. `name` is the same for every image of that size."""

    name: str
    width: int
    height: int
    data: bytes


def variant_name(width: int) -> str:
    """Return the last segment of the key of the version up to `width` pixels wide."""
    return f"w{width}.webp"


def inspect(file: IO[bytes], *, max_bytes: int, max_pixels: int) -> ImageInfo:
    """Return what `file` is, after reading it once and decoding nothing.

    Raises:
        InvalidImage: it is no image we take, is cut off, or would take too much time or memory to decode.
    """
    size = file.seek(0, io.SEEK_END)
    if size > max_bytes:
        raise InvalidImage(f"The file has {size / 1e6:.1f} MB: it must not have more than {max_bytes / 1e6:.0f} MB.")
    file.seek(0)
    parsed = _bounded(file.read(), max_pixels)
    file.seek(0)
    with _opened(parsed):
        content_type, extension = _FORMATS[parsed.format]
    width, height = (parsed.width, parsed.height) if parsed.orientation < 5 else (parsed.height, parsed.width)
    return ImageInfo(content_type, extension, width, height)


def variants(data: bytes, widths: Sequence[int], *, max_pixels: int) -> Iterator[Variant]:
    """Yield the image's smaller versions, largest first: never larger than itself, turned upright, in sRGB.

    An animation stays one.

    Raises InvalidImage: see `inspect`; and for damage that only decoding finds.
    """
    parsed = _bounded(data, max_pixels)
    del data
    if parsed.frames > 1:
        yield from _moving(parsed, widths)
        return
    with _opened(parsed) as image:
        # A JPEG can be decoded at a half, a quarter or an eighth of its size for as much less work.
        image.draft(None, (max(widths), max(widths)))
        upright = _upright(colours.plain(image, parsed.profile), parsed.orientation)
        for width in sorted(_fitting(upright.width, widths), reverse=True):
            resized = _resized(upright, width)
            output = io.BytesIO()
            resized.save(output, "WEBP", quality=_QUALITY, method=4)
            yield Variant(variant_name(width), *resized.size, output.getvalue())


def _moving(parsed: Parsed, widths: Sequence[int]) -> Iterator[Variant]:
    """Yield the smaller versions of an animation; it is decoded anew for each, since its frames fill the memory."""
    turned = parsed.orientation > 4
    for width in sorted(_fitting(parsed.height if turned else parsed.width, widths), reverse=True):
        with _opened(parsed) as image:
            frames = (
                (_resized(_upright(colours.plain(frame, parsed.profile), parsed.orientation), width), milliseconds)
                for frame, milliseconds in animations.frames(image)
            )
            size, data = animations.encode(frames, parsed.frames, animations.plays(image), quality=_QUALITY)
            yield Variant(variant_name(width), *size, data)


def _fitting(own: int, widths: Sequence[int]) -> list[int]:
    """Return the widths up to the image's own, and the next one, which then stands for the image's own."""
    ordered = sorted(widths)
    smaller = [width for width in ordered if width < own]
    return ordered[: len(smaller) + 1]


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _resized(upright: Image.Image, width: int) -> Image.Image:
    actual = min(width, upright.width)
    height = max(1, round(upright.height * actual / upright.width))
    resized = upright.resize((actual, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    # Pillow would copy what it knows from here into the file.
    resized.info = {}
    return resized


@contextmanager
def _opened(parsed: Parsed) -> Iterator[Image.Image]:
    """Open an image found harmless, its header read, nothing decoded yet."""
    try:
        with Image.open(io.BytesIO(parsed.pixels), formats=[parsed.format]) as image:
            yield image
    except (InvalidImage, MemoryError, SoftTimeLimitExceeded):
        # The last two say nothing of the image.
        raise
    except UnidentifiedImageError as exc:
        raise InvalidImage("The image is damaged: its header makes no sense. Copy or export it again.") from exc
    except Exception as exc:
        # Pillow's decoders raise whatever the damage made of the bytes: OSError, SyntaxError, struct.error, …
        raise InvalidImage(f"The image is damaged: {exc}.") from exc


def _bounded(data: bytes, max_pixels: int) -> Parsed:
    """Return the parts of a file that is not too much to decode."""
    parsed = formats.read(data)
    width, height = parsed.width, parsed.height
    pixels = width * height
    if not pixels:
        raise InvalidImage("The image is damaged: it has no pixels.")
    if pixels > max_pixels:
        raise InvalidImage(
            f"The image has too many pixels, {width:,} by {height:,}: it must not have more than "
            f"{max_pixels / 1e6:.3g} million altogether."
        )
    if max(width, height) > MAX_SIDE:
        raise InvalidImage(f"The image has {width:,} by {height:,} pixels: no side may have more than {MAX_SIDE:,}.")
    if parsed.passes > MAX_SCANS or parsed.passes * pixels > MAX_PASSES * max_pixels:
        raise InvalidImage(
            f"The image is a JPEG of {width:,} by {height:,} pixels in {parsed.passes:,} scans, which is more work "
            "than it is worth: export it again."
        )
    if parsed.frames > 1:
        animations.check(parsed)
    return parsed
