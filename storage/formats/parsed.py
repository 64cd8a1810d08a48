"""What the readers of the formats have in common."""

from dataclasses import dataclass

from storage.errors import InvalidImage

#: A file made of more parts than this is made to keep us busy: the largest pictures of cameras have some thousands.
MAX_PARTS = 200_000

#: Colour profiles have some kilobytes, the largest for printers a few megabytes.
MAX_PROFILE = 4_000_000


@dataclass(frozen=True, slots=True)
class Parsed:
    """An image file, taken apart.

    Attributes:
        format: as Pillow calls it.
        width, height: as stored, before it is turned; the canvas of an animation.
        pixels: the file without anything that its pixels do not need.
        frames: how many pictures it shows one after the other; 1 for a still one.
        passes: how often decoding goes over the pixels: the scans of a JPEG, else 1.
        orientation: how it must be turned, as EXIF says it (1 to 8; 1: as it is).
        profile: the ICC profile of its colours, or nothing.
    """

    format: str
    width: int
    height: int
    pixels: bytes
    frames: int = 1
    passes: int = 1
    orientation: int = 1
    profile: bytes = b""


def cut_off() -> InvalidImage:
    """Return the refusal of a file that ends too early."""
    return InvalidImage("The image is damaged: its end is missing. Copy or export it again.")


def damaged(what: str) -> InvalidImage:
    """Return the refusal of a file whose structure is not that of its format."""
    return InvalidImage(f"The image is damaged: {what}. Copy or export it again.")


def too_many_parts() -> InvalidImage:
    """Return the refusal of a file made of more parts than any picture needs."""
    return InvalidImage(f"The image is made of more than {MAX_PARTS:,} parts: export it again.")
