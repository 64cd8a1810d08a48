"""Animations: their frames one at a time, and the WebP made of them."""

import io
from collections.abc import Iterator

from PIL import Image

from storage.errors import InvalidImage
from storage.formats.parsed import Parsed

MAX_FRAMES = 1_000
#: Of all frames together: they are decoded and encoded at each width, which takes seconds.
MAX_PIXELS = 60_000_000

#: What browsers make of a delay of 10 ms or less, which old files have without meaning it.
_LEAST, _USUAL = 11, 100


def check(parsed: Parsed) -> None:
    """Raise InvalidImage for an animation that is too much to be made smaller."""
    frames, width, height = parsed.frames, parsed.width, parsed.height
    if frames > MAX_FRAMES or frames * width * height > MAX_PIXELS:
        raise InvalidImage(
            f"The animation has {frames:,} pictures of {width:,} by {height:,} pixels: it must not have more than "
            f"{MAX_FRAMES:,} pictures, nor {MAX_PIXELS / 1e6:.0f} million pixels altogether. Make it smaller or "
            "shorter."
        )


def frames(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """Yield each frame as it is shown, and for how many milliseconds."""
    # An animated PNG may have a still picture before, for those who do not show animations.
    for number in range(int(bool(image.info.get("default_image"))), getattr(image, "n_frames", 1)):
        image.seek(number)
        image.load()
        duration = round(image.info.get("duration") or 0)
        yield image, duration if duration >= _LEAST else _USUAL


def plays(image: Image.Image) -> int:
    """Return how often the animation is played; 0: for ever."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        # A GIF says how often it is repeated, if it is.
        return 1 if loop is None else loop and loop + 1
    return loop or 0


def encode(
    shown: Iterator[tuple[Image.Image, int]], count: int, loop: int, *, quality: int
) -> tuple[tuple[int, int], bytes]:
    """Return the size and the bytes of the WebP made of `count` frames, each with its milliseconds."""
    durations: list[int] = []

    def noted() -> Iterator[Image.Image]:
        for frame, milliseconds in shown:
            durations.append(milliseconds)
            yield frame.convert("RGBA")

    images = noted()
    first = next(images)
    output = io.BytesIO()
    first.save(
        output,
        "WEBP",
        save_all=True,
        append_images=[_Following(images, count - 1)],
        # Read by the encoder after each frame.
        duration=durations,
        loop=min(loop, 65_535),
        quality=quality,
        method=2,
    )
    return first.size, output.getvalue()


class _Following(Image.Image):
    """An image whose frames are made when the encoder asks for them: all at once would not fit into memory."""

    def __init__(self, images: Iterator[Image.Image], count: int) -> None:
        super().__init__()
        self._images = images
        self.n_frames = count

    def seek(self, frame: int) -> None:
        made = next(self._images)
        self.im, self._mode, self._size = made.im, made.mode, made.size
