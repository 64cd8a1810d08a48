"""From Markdown to HTML that is safe to show: parsed by one package, sanitised by another. Pure.

An uploaded image stands in the text by its number: `![a caption](image:2)`. Images from elsewhere become links, so
that no page of ours tells another server who reads it.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import nh3
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

_IMAGE = re.compile(r"image:(\d{1,4})")

_TAGS = {
    *("h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code"),
    *("em", "strong", "s", "a", "img", "ul", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {
    "a": {"href", "title"},
    "img": {"src", "srcset", "sizes", "alt", "title", "width", "height", "loading", "decoding"},
    "ol": {"start"},
    "code": {"class"},
}
_SCHEMES = {"http", "https", "mailto"}


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
        srcset = format_html(' srcset="{}" sizes="(width < 52rem) 100vw, 45rem"', self.srcset) if self.srcset else ""
        return format_html(
            '<img src="{}"{}{} alt="{}" width="{}" height="{}" loading="lazy" decoding="async">',
            self.src,
            srcset,
            format_html(' title="{}"', title) if title else "",
            alt or self.alt,
            self.width,
            self.height,
        )


def render(text: str, pictures: Mapping[int, Picture] | None = None) -> SafeString:
    """Return `text` as safe HTML, its images by their numbers."""
    raw = _parser().render(text, {"pictures": pictures or {}})
    clean = nh3.clean(
        raw,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="nofollow ugc noopener",
    )
    return mark_safe(clean)  # noqa: S308  Sanitised in the line before.


def placed(text: str) -> set[int]:
    """Return the numbers of the images that stand in the text."""
    return {
        int(match[1])
        for token in _inline(_parser().parse(text))
        if token.type == "image" and (match := _IMAGE.fullmatch(str(token.attrGet("src"))))
    }


def excerpt(text: str, length: int) -> str:
    """Return the beginning of `text` without its marks, on one line, at most `length` characters long."""
    bare = html.unescape(nh3.clean(_parser().render(text, {"pictures": {}, "captions": True}), tags=set()))
    words = " ".join(bare.split())
    if len(words) <= length:
        return words
    cut = words[: length - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip(" ,;:.") + "…"


@cache
def _parser() -> MarkdownIt:
    # HTML in the text is shown as text, before the sanitiser even sees it.
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough", "linkify"])
    parser.core.ruler.push("lower_headings", _lower_headings)
    return parser


def _lower_headings(state: Any) -> None:
    """Let the text's highest heading be h2, whatever the author began with: the page's h1 is the post's title."""
    headings = [token for token in state.tokens if token.type in {"heading_open", "heading_close"}]
    highest = min((int(token.tag[1]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(6, int(token.tag[1]) - highest + 2)}"


def _inline(tokens: Sequence[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or ()]


class _Renderer(RendererHTML):
    """Renders an image of the post as itself, any other one as a link."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        token = tokens[idx]
        source, title = str(token.attrGet("src") or ""), str(token.attrGet("title") or "")
        caption = self.renderInlineAsText(token.children or [], options, env)
        match = _IMAGE.fullmatch(source)
        if match is None:
            return format_html('<a href="{}">{}</a>', source, caption or source)
        if env.get("captions"):
            return format_html("{}", caption)
        picture: Picture | None = env["pictures"].get(int(match[1]))
        if picture is None:
            return format_html("<em>{}</em>", f"[image {match[1]}]")
        return picture.html(caption, title)
