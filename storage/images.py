"""Images as bytes: what a file really is, whether we take it, and its smaller versions. Neither store nor database."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from storage.errors import InvalidImage

#: What we take, by content: Pillow's name, the type a browser is told, the name's ending.
_FORMATS = {
    "JPEG": ("image/jpeg", "jpg"),
    # A camera's JPEG with a second picture in it; browsers show the first.
    "MPO": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
    "GIF": ("image/gif", "gif"),
}
_OPENED = ["JPEG", "PNG", "WEBP", "GIF"]

#: WebP cannot be larger; nor can a screen.
MAX_SIDE = 16_000

WEBP = "image/webp"
_QUALITY = 80


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
    """Return what `file` is, after reading no more of it than is needed to be sure.

    Raises:
        InvalidImage: it is no image we take, is damaged, or would take too much memory once decoded.
    """
    size = file.seek(0, io.SEEK_END)
    if size > max_bytes:
        raise InvalidImage(f"The file has {size / 1e6:.1f} MB: it must not have more than {max_bytes / 1e6:.0f} MB.")
    file.seek(0)
    with _opened(file, max_pixels) as image:
        width, height = ImageOps.exif_transpose(image).size if _is_turned(image) else image.size
        content_type, extension = _FORMATS[str(image.format)]
    _check_whole(file)
    file.seek(0)
    return ImageInfo(content_type, extension, width, height)


def variants(data: bytes, widths: Sequence[int], *, max_pixels: int) -> Iterator[Variant]:
    """Yield the image's smaller versions, largest first: never larger than itself, turned upright, in sRGB.

    Raises InvalidImage: see `inspect`; and for damage that only decoding finds.
    """
    with _opened(io.BytesIO(data), max_pixels) as image:
        # A JPEG can be decoded at a half, a quarter or an eighth of its size for as much less work.
        image.draft(None, (max(widths), max(widths)))
        upright = _plain(ImageOps.exif_transpose(image))
        del data
        for width in sorted(_fitting(upright.width, widths), reverse=True):
            yield _variant(upright, width)


def _fitting(own: int, widths: Sequence[int]) -> list[int]:
    """Return the widths up to the image's own, and the next one, which then stands for the image's own."""
    ordered = sorted(widths)
    smaller = [width for width in ordered if width < own]
    return ordered[: len(smaller) + 1]


def _variant(upright: Image.Image, width: int) -> Variant:
    actual = min(width, upright.width)
    height = max(1, round(upright.height * actual / upright.width))
    resized = upright.resize((actual, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    # Pillow would copy place and camera from here into the file.
    resized.info = {}
    output = io.BytesIO()
    resized.save(output, "WEBP", quality=_QUALITY, method=4)
    return Variant(variant_name(width), actual, height, output.getvalue())


def _plain(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit sRGB, with transparency where it has some."""
    if image.mode.startswith("I"):
        # 16 bits of grey: Pillow's own conversion cuts off instead of scaling.
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    has_alpha = image.has_transparency_data
    profile = image.info.get("icc_profile")
    if profile and image.mode in {"RGB", "CMYK"}:
        image = _to_srgb(image, profile)
    return image.convert("RGBA" if has_alpha else "RGB")


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the image as its colour profile means it, since the profile goes with the rest of the metadata."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return image
    return converted or image


def _is_turned(image: Image.Image) -> bool:
    return int(image.getexif().get(0x0112, 1)) in {5, 6, 7, 8}


@contextmanager
def _opened(file: IO[bytes], max_pixels: int) -> Iterator[Image.Image]:
    """Open an image, its header read and found harmless, nothing decoded yet."""
    try:
        with Image.open(file, formats=_OPENED) as image:
            _check_size(image, max_pixels)
            yield image
    except InvalidImage:
        raise
    except UnidentifiedImageError as exc:
        raise InvalidImage("The file is no image we know: it must be a JPEG, PNG, WebP or GIF.") from exc
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise InvalidImage(f"The image has too many pixels: {exc}") from exc
    except Exception as exc:
        # Pillow's decoders raise whatever the damage made of the bytes: OSError, SyntaxError, struct.error, …
        raise InvalidImage(f"The image is damaged: {exc}.") from exc


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise InvalidImage(
            f"The image has {width:,} by {height:,} pixels: it must not have more than "
            f"{max_pixels / 1e6:.0f} million altogether."
        )
    if max(width, height) > MAX_SIDE:
        raise InvalidImage(f"The image has {width:,} by {height:,} pixels: no side may have more than {MAX_SIDE:,}.")


def _check_whole(file: IO[bytes]) -> None:
    """Find cut off and damaged files, with little work: checksums where there are some, else a small decode."""
    file.seek(0)
    try:
        with Image.open(file, formats=_OPENED) as image:
            if image.format in {"JPEG", "MPO"}:
                image.draft("RGB", (1, 1))
                image.load()
            else:
                image.verify()
    except Exception as exc:
        raise InvalidImage(f"The image is damaged: {exc}.") from exc
