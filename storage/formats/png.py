"""PNG (third edition): chunks, each with its checksum. Animated ones have more pictures in chunks of their own."""

import struct
import zlib

from storage.formats import exif
from storage.formats.parsed import MAX_PARTS, MAX_PROFILE, Parsed, cut_off, damaged, too_many_parts

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_STILL = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_MOVING = frozenset({b"acTL", b"fcTL", b"fdAT"})


def read(data: bytes) -> Parsed:
    """Return the parts of a PNG. Raises InvalidImage."""
    chunks = _chunks(data)
    kinds = [kind for kind, _ in chunks]
    header = chunks[0][1] if kinds[0] == b"IHDR" else b""
    if len(header) != 13 or b"IDAT" not in kinds:
        raise damaged("there is no picture in it")
    width, height = struct.unpack_from(">II", header)
    found = dict(chunks)
    frames = _frames(found, kinds)
    kept = _STILL | _MOVING if frames > 1 else _STILL
    return Parsed(
        "PNG",
        width,
        height,
        SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks if kind in kept),
        frames=frames,
        orientation=exif.orientation(found.get(b"eXIf", b"")),
        profile=_profile(found.get(b"iCCP", b"")),
    )


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the chunks up to the last one, without those whose checksum is wrong and which no picture needs."""
    found: list[tuple[bytes, bytes]] = []
    position = len(SIGNATURE)
    for _ in range(MAX_PARTS):
        if position + 12 > len(data):
            raise cut_off()
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise cut_off()
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(data[position + 4 : end - 4]) == checksum:
            found.append((kind, data[position + 8 : end - 4]))
        elif kind in _STILL | _MOVING:
            raise damaged(f"the checksum of {kind.decode()} is wrong")
        if kind == b"IEND":
            return found
        position = end
    raise too_many_parts()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _frames(found: dict[bytes, bytes], kinds: list[bytes]) -> int:
    """Return how many pictures an animation has; 1 where it does not have those that it promises."""
    control = found.get(b"acTL", b"")
    if len(control) != 8 or kinds.index(b"acTL") > kinds.index(b"IDAT"):
        return 1
    (promised,) = struct.unpack_from(">I", control)
    return promised if promised == kinds.count(b"fcTL") else 1


def _profile(content: bytes) -> bytes:
    """Return the profile in an iCCP chunk: a name, a zero, the method of compression, and the compressed bytes."""
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(content[content.index(b"\0") + 2 :], MAX_PROFILE + 1)
    except (ValueError, zlib.error):
        return b""
    return profile if inflater.eof and len(profile) <= MAX_PROFILE else b""
