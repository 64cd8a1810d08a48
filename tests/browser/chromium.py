"""The browser: Debian's Chromium, or Chrome; where it is, how it is started, and a window that must stay silent."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, expect

#: How long is waited for what a page is to show, in milliseconds: on a busy machine a page that was slow to be made is
#: looked at again only after a pause of 15 s.
PATIENCE = 30_000

expect.set_options(timeout=PATIENCE)

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find() -> str | None:
    """Return the browser's program; None where none is installed."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def quiet_window(browser: Browser, url: str, **options: Any) -> Iterator[BrowserContext]:
    """Open a window of its own; raise AssertionError if there is anything on its console when it is closed.

    What the Content-Security-Policy refuses, and what a script raises, is said there as well.
    """
    said: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # A form that is shown again with what was wrong has a status of its own, which the browser mentions.
        if message.type in {"error", "warning"} and "status of 422" not in message.text:
            said.append(f"{message.text} ({message.location.get('url')})")

    window = browser.new_context(base_url=url, **options)
    window.set_default_timeout(PATIENCE)
    window.on("console", listen)
    window.on("weberror", lambda error: said.append(str(error.error)))
    yield window
    window.close()
    assert not said, "\n".join(said)
