"""Images made for tests, good and bad."""

import io
import struct
import zlib
from typing import Any

from PIL import Image


def picture(width: int = 800, height: int = 600, *, form: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:
    """Return an image with a gradient from left to right."""
    gradient = Image.linear_gradient("L").rotate(90).resize((width, height))
    output = io.BytesIO()
    gradient.convert("RGB").convert(mode).save(output, form, **options)
    return output.getvalue()


def with_orientation(data: bytes, orientation: int) -> bytes:
    """Return the JPEG with EXIF saying how the camera was held, by whom, and where."""
    image = Image.open(io.BytesIO(data))
    exif = image.getexif()
    exif[0x0112] = orientation
    exif[0x013B] = "An artist"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 0.0)
    output = io.BytesIO()
    image.save(output, "JPEG", exif=exif)
    return output.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """Return a small PNG whose header promises so many pixels: a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
