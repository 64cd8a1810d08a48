"""JPEG (ITU-T T.81, annex B): segments, and the scans between them."""

import re
import struct

from storage.errors import InvalidImage
from storage.formats import exif
from storage.formats.parsed import MAX_PARTS, MAX_PROFILE, Parsed, cut_off, damaged, too_many_parts

SIGNATURE = b"\xff\xd8\xff"

_EOI, _SOS, _APP0, _APP1, _APP2, _APP14, _APP15, _COM = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
#: Frames that browsers show: baseline, extended and progressive, by Huffman's codes.
_SHOWN = frozenset({0xC0, 0xC1, 0xC2})
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
#: Markers without a segment behind them.
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
#: The next marker; stuffed bytes and restarts belong to the scan before, and so does what fills up to it.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_PROFILE = b"ICC_PROFILE\0"
#: Says that the colours are YCbCr, or grey; without a resolution or a thumbnail.
_JFIF = b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def read(data: bytes) -> Parsed:
    """Return the parts of a JPEG. Raises InvalidImage."""
    reader = _Reader(data)
    position = 2
    for _ in range(MAX_PARTS):
        match = _MARKER.search(data, position)
        if match is None:
            raise cut_off()
        marker = match[1][0]
        if marker == _EOI:
            return reader.parsed()
        position = match.end()
        if marker not in _BARE:
            position = reader.segment(marker, position)
    raise too_many_parts()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._kept: list[bytes] = []
        self._is_jfif = False
        self._size = (0, 0)
        self._scans = 0
        self._orientation = 0
        self._profile: dict[int, bytes] = {}

    def segment(self, marker: int, position: int) -> int:
        """Take in the segment whose length stands at `position`; return where it ends, with the scan behind it."""
        data = self._data
        end = position + int.from_bytes(data[position : position + 2])
        if end > len(data) or end < position + 2:
            raise cut_off()
        content = data[position + 2 : end]
        if marker == _SOS:
            self._scans += 1
            following = _MARKER.search(data, end)
            end = following.start() if following else len(data)
        elif marker in _FRAMES:
            self._frame(marker, content)
        if _APP0 <= marker <= _APP15 or marker == _COM:
            self._note(marker, content)
        else:
            self._kept.append(b"\xff" + bytes([marker]) + data[position:end])
        return end

    def _frame(self, marker: int, content: bytes) -> None:
        if marker not in _SHOWN:
            raise InvalidImage("The image is a JPEG of a kind that browsers do not show: export it again.")
        if self._size != (0, 0) or len(content) < 5:
            raise damaged("it does not say one size")
        height, width = struct.unpack_from(">HH", content, 1)
        self._size = (width, height)

    def _note(self, marker: int, content: bytes) -> None:
        """Keep of the metadata what the colours and the direction of the pixels depend on."""
        if marker == _APP0 and content.startswith(b"JFIF\0"):
            self._is_jfif = True
        elif marker == _APP14 and content.startswith(b"Adobe"):
            self._kept.append(b"\xff\xee" + struct.pack(">H", len(content) + 2) + content)
        elif marker == _APP1 and content.startswith(b"Exif\0\0") and not self._orientation:
            self._orientation = exif.orientation(content)
        elif marker == _APP2 and content.startswith(_PROFILE) and len(content) > len(_PROFILE) + 2:
            self._profile[content[len(_PROFILE)]] = content[len(_PROFILE) + 2 :]

    def parsed(self) -> Parsed:
        if 0 in self._size or not self._scans:
            raise damaged("there is no picture in it")
        profile = b"".join(part for _, part in sorted(self._profile.items()))
        return Parsed(
            "JPEG",
            *self._size,
            b"".join([b"\xff\xd8", _JFIF if self._is_jfif else b"", *self._kept, b"\xff\xd9"]),
            passes=self._scans,
            orientation=self._orientation or 1,
            profile=profile if len(profile) <= MAX_PROFILE else b"",
        )
