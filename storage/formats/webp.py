"""WebP (RFC 9649): chunks in a RIFF container."""

import struct

from storage.formats import exif
from storage.formats.parsed import MAX_PARTS, MAX_PROFILE, Parsed, cut_off, damaged, too_many_parts

SIGNATURE = b"RIFF"

_PIXELS = frozenset({b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"})
#: In the flags of VP8X: a profile, EXIF and XMP follow.
_METADATA = 0x20 | 0x08 | 0x04


def read(data: bytes) -> Parsed:
    """Return the parts of a WebP. Raises InvalidImage."""
    if data[8:12] != b"WEBP":
        raise damaged("it is no WebP")
    if len(data) + 1 < 8 + int.from_bytes(data[4:8], "little"):
        raise cut_off()
    chunks = _chunks(data)
    found = dict(chunks)
    width, height = _size(chunks)
    pixels = b"".join(_chunk(kind, content) for kind, content in chunks if kind in _PIXELS)
    profile = found.get(b"ICCP", b"")
    return Parsed(
        "WEBP",
        width,
        height,
        struct.pack("<4sI4s", SIGNATURE, len(pixels) + 4, b"WEBP") + pixels,
        frames=max(1, sum(kind == b"ANMF" for kind, _ in chunks)),
        orientation=exif.orientation(found.get(b"EXIF", b"")),
        profile=profile if len(profile) <= MAX_PROFILE else b"",
    )


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    position = 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        content = data[position + 8 : position + 8 + length]
        if len(content) < length:
            raise cut_off()
        found.append((kind, content))
        if len(found) > MAX_PARTS:
            raise too_many_parts()
        position += 8 + length + length % 2
    return found


def _chunk(kind: bytes, content: bytes) -> bytes:
    if kind == b"VP8X" and content:
        content = bytes([content[0] & ~_METADATA]) + content[1:]
    return struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2)


def _size(chunks: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """Return width and height as the first chunk says them (RFC 9649, 2.7.1 and 3.4; RFC 6386, 9.1)."""
    kind, content = chunks[0] if chunks else (b"", b"")
    if len(content) >= 10 and kind == b"VP8X":
        return 1 + int.from_bytes(content[4:7], "little"), 1 + int.from_bytes(content[7:10], "little")
    if len(content) >= 10 and kind == b"VP8 " and content[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 6)
        return width & 0x3FFF, height & 0x3FFF
    if len(content) >= 5 and kind == b"VP8L" and content[0] == 0x2F:
        bits = int.from_bytes(content[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise damaged("there is no picture in it")
