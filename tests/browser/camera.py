"""Takes the pictures: fills a site, opens each page in a browser, and writes small files."""

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from django.conf import settings
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from accounts.models import User
from tests.browser import chromium, demo
from tests.browser.shots import Shot, shots
from tests.browser.site import Site
from tests.jobs.people import logged_in
from tests.templates import migrate

#: Enough that every page has something to show, few enough to be written in seconds.
JOBS = 40_000
WIDTHS = {"": 1440, "phone": 360}
#: A page is shown down to here; what follows is more of the same.
HEIGHT = 1300
#: Colours kept, the most frequent ones: all that our pages have, save some of the edges of letters.
COLOURS = 256


@dataclass(frozen=True)
class Wish:
    """What to photograph: which pages, each in every way or as its shot says, and where the pictures go."""

    to: Path
    every: bool = False
    only: str = ""

    def has(self, shot: Shot, way: str) -> bool:
        """Return whether a page is wanted in a way."""
        return shot.name.startswith(self.only) and (self.every or not way or way in shot.also)


def photograph(directory: Path, program: str, database_url: str, wish: Wish) -> None:
    """Photograph a site of its own, whose files are in `directory`."""
    migrate(database_url)
    demo.fill(directory / "inbox", jobs=JOBS)
    site = Site(directory, {}, mails=False)
    wish.to.mkdir(parents=True, exist_ok=True)
    try:
        site.wait_until_ready()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=list(chromium.FLAGS))
            for theme, width in itertools.product(("light", "dark"), WIDTHS):
                _one_way(browser, site, (theme, width), wish)
            browser.close()
    finally:
        site.stop()


def _one_way(browser: Browser, site: Site, way: tuple[str, str], wish: Wish) -> None:
    theme, width = way
    suffix = "-".join(part for part in (width, theme if theme == "dark" else "") if part)
    with _windows(browser, site, way) as windows:
        for shot in shots():
            if wish.has(shot, suffix):
                name = "-".join(part for part in (shot.name, suffix) if part)
                _take(windows[shot.signed_in], shot, wish.to / f"{name}.png")


@contextmanager
def _windows(browser: Browser, site: Site, way: tuple[str, str]) -> Iterator[dict[bool, BrowserContext]]:
    """Open the operator's window, and a stranger's."""
    theme, width = way
    options = {
        "color_scheme": theme,
        "viewport": {"width": WIDTHS[width], "height": 720},
        "has_touch": bool(width),
        "reduced_motion": "reduce",
        "locale": "en-GB",
    }
    with (
        chromium.quiet_window(browser, site.url, **options) as operator,
        chromium.quiet_window(browser, site.url, **options) as stranger,
    ):
        cookie = logged_in(User.objects.get(email=demo.OPERATOR)).cookies[settings.SESSION_COOKIE_NAME]
        operator.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site.url}])
        yield {True: operator, False: stranger}


def _take(window: BrowserContext, shot: Shot, path: Path) -> None:
    page = window.new_page()
    page.goto(shot.path)
    if shot.click:
        page.locator(shot.click).first.click()
        page.wait_for_load_state("networkidle")
    if page.locator("main[data-events^='/']").count():
        page.get_by_text("Live", exact=True).wait_for()
    _small(Image.open(io.BytesIO(_shoot(page))).convert("RGB")).save(path, optimize=True)
    page.close()
    print(f"{path.name}  {path.stat().st_size / 1000:.0f} kB")


def _small(picture: Image.Image) -> Image.Image:
    """Return a picture with a palette, a third of the size."""
    # Of a picture in RGB: how often each colour stands in it.
    colours = cast("list[tuple[int, tuple[int, int, int]]]", picture.getcolors(picture.width * picture.height))
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, colour in sorted(colours, reverse=True)[:COLOURS] for part in colour])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _shoot(page: Page) -> bytes:
    """Return the page from its top to its content's end, or to where more of the same begins."""
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    return page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": size[0], "height": min(size[1], HEIGHT)})
