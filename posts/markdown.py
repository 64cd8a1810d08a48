"""From Markdown to HTML that is safe to show: parsed by one package, sanitised by another. Pure.

A text is rendered once, by `body`, and kept. What may change without the text, where its images lie and which of them
are there, is filled in by `fill` at each view, which parses nothing.

An uploaded image stands in the text by its number: `![a caption](image:2)`.

The parser (pulldown-cmark) takes time in proportion to the text, whatever stands in it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import nh3
import pyromark
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from posts.html import write

#: Grows with each change of what `body` makes of a text; posts that an earlier one rendered are then rendered anew.
VERSION = 1

#: So many images are shown in one text, counting each time one is shown; further ones are named.
MAX_SHOWN = 100

_TAGS = {
    *("h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code"),
    *("em", "strong", "s", "a", "img", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"data-number", "alt", "title"},
    "ol": {"start"},
    "code": {"class"},
}
_SCHEMES = {"http", "https", "mailto"}

_PARSER = pyromark.Markdown(options=pyromark.Options.ENABLE_TABLES | pyromark.Options.ENABLE_STRIKETHROUGH)

#: Only `body` writes a `<img`; one in the text is escaped.
_PLACE = re.compile(r'<img data-number="(\d+)" alt="([^"]*)" title="([^"]*)">')


@dataclass(frozen=True, slots=True)
class Picture:
    """How an image is shown. `srcset` is empty while there is only the original."""

    src: str
    width: int
    height: int
    alt: str = ""
    srcset: str = ""

    def html(self, alt: str = "", title: str = "") -> SafeString:
        """Return the element; `alt` is the caption the text gives it."""
        sizes = "(width < 52rem) 100vw, 45rem"
        return format_html(
            '<img src="{}"{}{} alt="{}" width="{}" height="{}" loading="lazy" decoding="async">',
            self.src,
            format_html(' srcset="{}" sizes="{}"', self.srcset, sizes) if self.srcset else "",
            format_html(' title="{}"', title) if title else "",
            alt or self.alt,
            self.width,
            self.height,
        )


def body(text: str) -> str:
    """Return `text` as safe HTML, with places for its images."""
    return nh3.clean(
        write(list(_events(text)), len(text)),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="nofollow ugc noopener",
    )


def fill(rendered: str, pictures: Mapping[int, Picture]) -> SafeString:
    """Return what `body` made of a text with its images in their places."""
    shown = 0

    def image(match: re.Match[str]) -> str:
        nonlocal shown
        picture = pictures.get(int(match[1]))
        shown += 1
        if picture is None or shown > MAX_SHOWN:
            return format_html("<em>{}</em>", f"[image {match[1]}]")
        # Both are escaped already.
        return picture.html(mark_safe(match[2]), mark_safe(match[3]))  # noqa: S308

    return mark_safe(_PLACE.sub(image, rendered))  # noqa: S308  Sanitised by `body`.


def render(text: str, pictures: Mapping[int, Picture] | None = None) -> SafeString:
    """Return `text` as safe HTML, its images by their numbers."""
    return fill(body(text), pictures or {})


def unrendered(text: str) -> SafeString:
    """Return `text` as HTML that shows it letter for letter: while nobody has rendered it."""
    return format_html("<pre>{}</pre>", text)


def placed(text: str) -> set[int]:
    """Return the numbers of the images that stand in the text."""
    return {int(match[1]) for match in _PLACE.finditer(body(text))}


def excerpt(text: str, length: int) -> str:
    """Return the beginning of `text` without its marks, on one line, at most `length` characters long."""
    words = " ".join(_beginning(text, length).split())
    if len(words) <= length:
        return words
    cut = words[: length - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:.") + "…"


def _events(text: str) -> Iterator[Any]:
    # CommonMark has NUL replaced; no database of ours takes it.
    return _PARSER.events(text.replace("\0", "\ufffd"))


def _beginning(text: str, length: int) -> str:
    """Return enough of a text's words for an excerpt, white space still between them as it came."""
    found, wanted = [], length + 1
    for event in _events(text):
        found.append(words := _words(event))
        wanted -= sum(map(len, words.split()))
        if wanted < 0:
            break
    return "".join(found)


def _words(event: Any) -> str:
    """Return what an event adds to the words of a text."""
    if isinstance(event, str):
        return " "
    [(kind, value)] = event.items()
    if kind in {"Text", "Code", "Html", "InlineHtml"}:
        return str(value)
    # Blocks are apart, emphasised letters are not.
    return "" if str(value) in _INLINE or kind == "Start" else " "


_INLINE = frozenset({"Emphasis", "Strong", "Strikethrough", "Link"})
