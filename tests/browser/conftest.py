"""What browser tests can ask for besides the fixtures that `tests/conftest.py` lists.

`site` is the running site with a worker, on SQLite; `page` is a tab of a fresh browser, whose links begin there. What
the browser says on its console fails the test.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.acceptance.conftest import effects, start_worker, worker_environment
from tests.acceptance.worker import Worker
from tests.browser.site import Site
from tests.conftest import REPORTS
from tests.environment import CI

__all__ = ["effects", "start_worker", "worker_environment"]

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


@pytest.fixture
def site(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    worker_environment: dict[str, str],
    start_worker: Callable[..., Worker],
) -> Iterator[Site]:
    """The running site."""
    site = Site(tmp_path, worker_environment)
    request.node.stash.setdefault(REPORTS, []).append(site.report)
    start_worker(pool="threads", environment=site.environment)
    site.wait_until_ready()
    yield site
    site.stop()


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """A browser."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        if CI:
            pytest.fail("No browser is installed: run tests/system-packages.")
        pytest.skip("No browser is installed: run tests/system-packages.")
    # Playwright keeps an event loop running in this thread, which Django would take for an asynchronous caller.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A tab; it must end without anything on its console."""
    said: list[str] = []
    context = browser.new_context(base_url=site.url)
    context.set_default_timeout(10_000)
    context.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context.new_page()
    context.close()
    assert not said
