"""What MkDocs calls while it builds the site: https://www.mkdocs.org/user-guide/configuration/#hooks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from docsite import links, reference

#: What the theme's own style lacks.
STYLE = Path(__file__).with_name("site.css")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the documents that mkdocs.yml does not name at the end of the navigation."""
    named = set(_pages(config.nav))
    inside = [file.relative_to(links.BASE).as_posix() for file in (links.BASE / "docs").rglob("*.md")]
    more = [page for page in map(links.page_of, sorted([*inside, *links.documents()])) if page not in named]
    if more:
        config.nav = [*(config.nav or []), {"More": more}]
    return config


def _pages(nav: Any) -> Iterator[str]:
    """Yield the pages that a part of the navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for part in nav.values():
            yield from _pages(part)
    else:
        for part in nav or ():
            yield from _pages(part)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents that lie beside `docs/`, and the pages that are made of the code."""
    texts = {links.page_of(document): (links.BASE / document).read_text() for document in links.documents()}
    for page, text in (texts | reference.pages()).items():
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, STYLE.name, content=STYLE.read_text()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead a page's links to pages."""
    return links.fitted(markdown, page.file.src_uri)
