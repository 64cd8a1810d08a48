"""Links between documents: on the forge they lead to files of the repository, on the site to its pages.

What is no document (a Procfile, a manifest) has no page: its link becomes its words.
"""

import posixpath
import re
from pathlib import Path

BASE = Path(__file__).resolve().parents[1]

#: The page that is made of README.md.
FRONT = "index.md"

#: The folder of the site for documents that lie beside `docs/`.
ABOUT = "about/"

#: Where such documents are looked for.
_BESIDE = ("*.md", "bench/*.md", "examples/*.md")

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^ *```", re.MULTILINE)


def documents() -> list[str]:
    """Return the documents that lie beside `docs/`, by their paths in the repository."""
    found = (file for pattern in _BESIDE for file in BASE.glob(pattern))
    # What has no title is a part of another one.
    return sorted(file.relative_to(BASE).as_posix() for file in found if file.read_text().startswith("# "))


def page_of(document: str) -> str:
    """Return the page that is made of a document."""
    if document == "README.md":
        return FRONT
    return document.removeprefix("docs/") if document.startswith("docs/") else ABOUT + document


def document_of(page: str) -> str:
    """Return the document of which a page is made."""
    if page == FRONT:
        return "README.md"
    return page.removeprefix(ABOUT) if page.startswith(ABOUT) else f"docs/{page}"


def fitted(text: str, page: str) -> str:
    """Return a document's Markdown with its links leading to pages. What stands in blocks of code is no link."""
    parts, at, inside = [], 0, False
    for fence in _FENCE.finditer(text):
        parts.append(text[at : fence.start()] if inside else _fitted(text[at : fence.start()], page))
        at, inside = fence.start(), not inside
    parts.append(text[at:] if inside else _fitted(text[at:], page))
    return "".join(parts)


def _fitted(text: str, page: str) -> str:
    folder = posixpath.dirname(document_of(page))

    def replaced(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        address, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:") or not address:
            return match[0]
        document = posixpath.normpath(posixpath.join(folder, address))
        if not (document.startswith("docs/") or document in documents()):
            return words
        there = posixpath.relpath(page_of(document), posixpath.dirname(page) or ".")
        return f"{mark}[{words}]({there}{'#' + anchor if anchor else ''})"

    return _LINK.sub(replaced, text)
