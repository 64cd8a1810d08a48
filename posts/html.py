"""Writes parsed Markdown as HTML, in one pass over its events and with bounded output. Pure.

An image of the post is written as `<img data-number="2" alt="…" title="…">`, a place that `posts.markdown` fills; an
image from elsewhere is written as a link, so that no page of ours tells another server who reads it.
"""

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from posts import autolinks

#: Of quotes, lists and emphasis inside each other, so many are shown; what stands deeper keeps its words only. The
#: sanitiser, like a browser, takes time by the square of the depth.
MAX_DEPTH = 40

#: A link's target may be named once and used often. What such uses may add: so many times the text, and a little.
MAX_EXPANSION = 2
FREE_EXPANSION = 4_000

#: An empty cell, as it is written. The parser fills up short rows with them, thousands where the table is wide. So many
#: are written for each character of the text; then rows end where their author ended them.
MAX_EMPTY_CELLS = 0.5
_EMPTY_CELL = ["<td>", "</td>\n"]

_IMAGE = re.compile(r"image:(\d{1,4})")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_SCHEMES = frozenset({"http", "https", "mailto"})
_REFERENCES = frozenset({"Reference", "Collapsed", "Shortcut"})
_LANGUAGE = re.compile(r"[\w+#.-]+")

_NESTING = {
    "BlockQuote": ("<blockquote>\n", "</blockquote>\n"),
    "Item": ("<li>", "</li>\n"),
    "Emphasis": ("<em>", "</em>"),
    "Strong": ("<strong>", "</strong>"),
    "Strikethrough": ("<s>", "</s>"),
}
_FLAT = {
    "Paragraph": ("<p>", "</p>\n"),
    # HTML is shown as the text that it is.
    "HtmlBlock": ("<p>", "</p>\n"),
    "Table": ("<table>\n", "</tbody>\n</table>\n"),
    "TableHead": ("<thead>\n<tr>\n", "</tr>\n</thead>\n<tbody>\n"),
    "TableRow": ("<tr>\n", "</tr>\n"),
}
_BLOCKS = frozenset({"Paragraph", "HtmlBlock", "Table", "BlockQuote", "List", "Heading", "CodeBlock"})

#: An event of the parser: a bare word, or what begins, ends or stands there.
Event = Any


def write(events: Sequence[Event], length: int) -> str:
    """Return the events of a text of so many characters as HTML. It still needs a sanitiser."""
    return _Writer(events, length).write()


class _Writer:
    def __init__(self, events: Sequence[Event], length: int) -> None:
        self._events = events
        self._out: list[str] = []
        #: What closes each element that is open.
        self._closing: list[str] = []
        self._depth = 0
        self._links = 0
        self._cell = "td"
        self._expansion = MAX_EXPANSION * length + FREE_EXPANSION
        #: How many cells may still be left empty at the ends of rows.
        self._empty_cells = MAX_EMPTY_CELLS * length
        self._highest = min((_level(event) for event in events if _is_heading(event)), default=1)

    def write(self) -> str:
        events = iter(self._events)
        for event in events:
            if isinstance(event, str):
                self._out.append({"SoftBreak": "\n", "HardBreak": "<br>\n", "Rule": "\n<hr>\n"}[event])
                continue
            [(kind, value)] = event.items()
            if kind == "Start" and "Image" in value:
                self._image(value["Image"], events)
            elif kind == "Start":
                self._begin(value)
            elif kind == "End":
                self._end(value)
            else:
                self._text(kind, value)
        return "".join(self._out)

    def _text(self, kind: str, text: str) -> None:
        if kind == "Code":
            self._out.append(f"<code>{escape(text)}</code>")
        elif kind == "Text" and not self._links:
            for piece, target in autolinks.split(text):
                self._out.append(_link(target, "") + escape(piece) + "</a>" if target else escape(piece))
        else:
            self._out.append(escape(text))

    def _begin(self, value: Any) -> None:
        name, data = _named(value)
        if name in _BLOCKS and self._out and not self._out[-1].endswith("\n"):
            self._out.append("\n")
        opening, closing = self._element(name, data)
        self._out.append(opening)
        self._closing.append(closing)

    def _end(self, value: Any) -> None:
        name, _ = _named(value)
        if name == "TableRow":
            self._shorten_row()
        self._out.append(self._closing.pop())
        if name in _NESTING or name == "List":
            self._depth -= 1
        elif name in {"Link", "CodeBlock"}:
            self._links -= 1
        elif name == "TableHead":
            self._cell = "td"

    def _shorten_row(self) -> None:
        """Leave out the empty cells at a row's end once there are too many."""
        first = len(self._out)
        while self._out[first - 2 : first] == _EMPTY_CELL:
            first -= 2
        self._empty_cells -= (len(self._out) - first) // 2
        if self._empty_cells < 0:
            del self._out[first:]

    def _element(self, name: str, data: Any) -> tuple[str, str]:
        """Return what opens an element and what closes it."""
        if name in _NESTING or name == "List":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                return "", "\n" if name == "Item" else ""
            return _NESTING.get(name) or _list(data)
        if name == "Heading":
            # The text's highest heading is h2, whatever the author began with: the page's h1 is the post's title.
            level = min(6, int(data["level"][1]) - self._highest + 2)
            return f"<h{level}>", f"</h{level}>\n"
        if name == "TableCell":
            return f"<{self._cell}>", f"</{self._cell}>\n"
        if name in {"Link", "CodeBlock"}:
            # No address in either is a link of its own.
            self._links += 1
            return self._anchor(data) if name == "Link" else (_code(data), "</code></pre>\n")
        if name == "TableHead":
            self._cell = "th"
        return _FLAT[name]

    def _anchor(self, data: Any) -> tuple[str, str]:
        if not self._may_expand(data):
            return "", ""
        scheme = "mailto:" if data["link_type"] == "Email" else ""
        return _link(scheme + data["dest_url"], data["title"]), "</a>"

    def _image(self, data: Any, events: Any) -> None:
        """Write an image; its caption are the words up to its end."""
        source, title = data["dest_url"], data["title"]
        caption = _caption(events)
        expands = self._may_expand(data)
        if match := _IMAGE.fullmatch(source):
            title = title if expands else ""
            self._out.append(f'<img data-number="{int(match[1])}" alt="{escape(caption)}" title="{escape(title)}">')
        elif self._links or not expands:
            self._out.append(escape(caption))
        else:
            self._out.append(_link(source, "") + escape(caption or source) + "</a>")

    def _may_expand(self, data: Any) -> bool:
        """Return whether a link may be written, its target and title counted where they are named elsewhere."""
        if data["link_type"] in _REFERENCES:
            self._expansion -= len(data["dest_url"]) + len(data["title"])
        return self._expansion >= 0 or data["link_type"] not in _REFERENCES


def _caption(events: Any) -> str:
    words, depth = [], 1
    for event in events:
        if isinstance(event, str):
            words.append(" ")
            continue
        [(kind, value)] = event.items()
        if kind in {"Start", "End"}:
            depth += (kind == "Start") - (kind == "End")
            if not depth:
                break
        else:
            words.append(value)
    return "".join(words)


def _named(value: Any) -> tuple[str, Any]:
    """Return an element's name, and what is said of it."""
    if isinstance(value, str):
        return value, None
    [(name, data)] = value.items()
    return name, data


def _is_heading(event: Event) -> bool:
    return isinstance(event, dict) and isinstance(start := event.get("Start"), dict) and "Heading" in start


def _level(event: Event) -> int:
    return int(event["Start"]["Heading"]["level"][1])


def _list(start: int | None) -> tuple[str, str]:
    if start is None:
        return "<ul>\n", "</ul>\n"
    return ("<ol>\n" if start == 1 else f'<ol start="{start}">\n'), "</ol>\n"


def _code(kind: Any) -> str:
    language = _LANGUAGE.match(kind["Fenced"]) if isinstance(kind, dict) else None
    return f'<pre><code class="language-{escape(language[0])}">' if language else "<pre><code>"


def _link(target: str, title: str) -> str:
    scheme = _SCHEME.match(target)
    href = f' href="{escape(target)}"' if scheme is None or scheme[1].lower() in _SCHEMES else ""
    return f"<a{href}" + (f' title="{escape(title)}">' if title else ">")
