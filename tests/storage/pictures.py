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


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """Return the PNG with chunks behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def segment(marker: int, data: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Return the JPEG with segments before all others."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_scans(scans: int, side: int = 64) -> bytes:
    """Return a small progressive JPEG with so many scans: each costs a pass over all pixels."""
    data = picture(side, side, progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - data.count(b"\xff\xda")) + b"\xff\xd9"


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP of these chunks."""
    content = b"".join(struct.pack("<4sI", kind, len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return struct.pack("<4sI4s", b"RIFF", len(content) + 4, b"WEBP") + content


def webp_with(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a WebP that announces and has metadata."""
    still = picture(width, height, form="WEBP")
    flags = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}
    announced = bytes([sum(flags[kind] for kind, _ in chunks), 0, 0, 0])
    header = announced + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff((b"VP8X", header), (still[12:16], still[20:]), *chunks)


def animation(
    form: str = "GIF", frames: int = 5, width: int = 80, height: int = 60, mode: str = "RGB", **options: Any
) -> bytes:
    """Return pictures of growing brightness, 50 ms each; hundreds of them differ in other ways."""
    images = [
        Image.new("RGB", (width, height), (min(number * 50, 255), number % 251, number % 2 * 90)).convert(mode)
        for number in range(frames)
    ]
    output = io.BytesIO()
    images[0].save(output, form, save_all=True, append_images=images[1:], duration=50, loop=0, **options)
    return output.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """Return a small PNG whose header promises so many pixels: a decompression bomb."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
