"""Tracebacks as people want them: the project's own frames at once, what lies between them folded away. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FRAME = re.compile(r'  File "(?P<path>[^"]*)", line (?P<line>\d+)(?:, in (?P<function>.*))?')

#: Where code lives that is not the project's: packages, the standard library, what has no file.
_FOREIGN = re.compile(r"(site|dist)-packages/|/lib/python[\d.]+/|^<|/jobs/(worker|tasks)/")
_PACKAGE = re.compile(r"(?:site|dist)-packages/(?P<package>[^/]+?)(?:\.py)?(?:/|$)")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its place, and its lines as Python wrote them."""

    path: str
    line: int
    function: str
    text: str

    @property
    def is_own(self) -> bool:
        """Whether it is code of the project, the engine that called it left out."""
        return not _FOREIGN.search(self.path)

    @property
    def package(self) -> str:
        """Whose code it is, for the words on the fold."""
        match = _PACKAGE.search(self.path)
        if match:
            return match["package"]
        return "the engine" if "/jobs/" in self.path else "Python"


@dataclass(frozen=True, slots=True)
class Fold:
    """Frames that are not the project's."""

    frames: tuple[Frame, ...]

    @property
    def words(self) -> str:
        """What is folded away."""
        count = len(self.frames)
        whose = ", ".join(dict.fromkeys(frame.package for frame in self.frames))
        return f"{count} frame{'s' * (count > 1)} of {whose}"

    @property
    def text(self) -> str:
        """The frames as Python wrote them."""
        return "\n".join(frame.text for frame in self.frames)


#: A traceback's parts, in order: text, a frame of the project, frames folded away.
Part = str | Frame | Fold


def folded(text: str) -> list[Part]:
    """Return a traceback's parts. Where no frame is the project's, nothing is folded."""
    parts = list(_parts(text.rstrip().splitlines()))
    if not any(isinstance(part, Frame) and part.is_own for part in parts):
        return list(parts)
    return list(_fold(parts))


def _parts(lines: list[str]) -> Iterator[str | Frame]:
    index = 0
    while index < len(lines):
        frame = _FRAME.match(lines[index])
        end = index + 1
        if frame is None:
            while end < len(lines) and not _FRAME.match(lines[end]):
                end += 1
            yield "\n".join(lines[index:end])
        else:
            while end < len(lines) and lines[end].startswith("    "):
                end += 1
            yield Frame(frame["path"], int(frame["line"]), frame["function"] or "", "\n".join(lines[index:end]))
        index = end


def _fold(parts: list[str | Frame]) -> Iterator[Part]:
    foreign: list[Frame] = []
    for part in parts:
        if isinstance(part, Frame) and not part.is_own:
            foreign.append(part)
            continue
        if foreign:
            yield Fold(tuple(foreign))
            foreign = []
        yield part
    if foreign:
        yield Fold(tuple(foreign))
