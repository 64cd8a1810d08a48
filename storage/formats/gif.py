"""GIF 89a: a header, then extensions and pictures, each a chain of blocks of up to 255 bytes."""

import struct

from storage.formats.parsed import MAX_PARTS, Parsed, cut_off, damaged, too_many_parts

_EXTENSION, _PICTURE, _TRAILER = 0x21, 0x2C, 0x3B
#: Of the extensions a picture needs its delay and transparency, an animation how often it plays.
_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def read(data: bytes) -> Parsed:
    """Return the parts of a GIF. Raises InvalidImage."""
    if len(data) < 13:
        raise cut_off()
    return _Reader(data).read()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts = 0
        self._width, self._height, flags = struct.unpack_from("<HHB", data, 6)
        self._position = 13 + _table(flags)
        self._kept = [data[: self._position]]
        self._frames = 0

    def read(self) -> Parsed:
        while (kind := self._next()) != _TRAILER:
            start = self._position
            if kind == _EXTENSION:
                self._extension(start)
            elif kind == _PICTURE:
                self._picture(start)
            else:
                raise damaged("there is something between its pictures")
        if not self._frames:
            raise damaged("there is no picture in it")
        self._kept.append(bytes([_TRAILER]))
        return Parsed("GIF", self._width, self._height, b"".join(self._kept), frames=self._frames)

    def _next(self) -> int:
        """Return what comes next."""
        if self._position >= len(self._data):
            raise cut_off()
        return self._data[self._position]

    def _extension(self, start: int) -> None:
        label = self._data[start + 1 : start + 2]
        self._skip_blocks(start + 2)
        content = self._data[start : self._position]
        if label == bytes([_CONTROL]) or (label == bytes([_APPLICATION]) and content[3:14] in _LOOPS):
            self._kept.append(content)

    def _picture(self, start: int) -> None:
        if start + 11 > len(self._data):
            raise cut_off()
        left, top, width, height, flags = struct.unpack_from("<HHHHB", self._data, start + 1)
        # Decoders let a picture that reaches beyond the canvas enlarge it.
        self._width, self._height = max(self._width, left + width), max(self._height, top + height)
        self._skip_blocks(start + 10 + _table(flags) + 1)
        self._kept.append(self._data[start : self._position])
        self._frames += 1

    def _skip_blocks(self, position: int) -> None:
        """Go on behind the chain of blocks that begins at `position`: each after its length, the last one empty."""
        data, end = self._data, len(self._data)
        while position < end and (length := data[position]):
            position += length + 1
            self._parts += 1
        self._parts += 1
        if position >= end:
            raise cut_off()
        if self._parts > 5 * MAX_PARTS:
            raise too_many_parts()
        self._position = position + 1


def _table(flags: int) -> int:
    """Return how many bytes a table of colours has, which is there where the highest bit says so."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
