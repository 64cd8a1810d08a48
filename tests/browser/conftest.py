"""What browser tests can ask for besides the fixtures that `tests/conftest.py` lists.

- `site`: the running site with a worker, on SQLite and Valkey, shared by all tests here; each finds its ledger and
  inbox empty. The ORM of the test is the site's.
- `page`: a tab of a fresh browser window whose links begin there; `operator` and `viewer`: one in which somebody is
  logged in who may act, or may only look. What the browser says on its console fails the test, and so does what the
  Content-Security-Policy refuses.
- `effects`: what the tasks did.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django import DjangoDbBlocker

from accounts.models import User
from jobs.models import DeadLetter, Job, OperatorAction, Queue
from tests.acceptance.worker import Worker
from tests.browser import chromium
from tests.browser.site import Site
from tests.conftest import REPORTS
from tests.databases import Database, default_database_at
from tests.environment import CI, environment
from tests.jobs import people
from tests.tasks_app.effects import VARIABLE, Effects
from tests.waiting import wait_for

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests one after the other, whatever order the others have: then one site is enough."""
    items.sort(key=lambda item: HERE in item.path.parents)


@pytest.fixture(scope="package")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Effects:
    """What the tasks of these tests did."""
    return Effects(tmp_path_factory.mktemp("effects") / "effects")


@pytest.fixture(scope="package")
def running(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
    sqlite_template: str,
    effects: Effects,
) -> Iterator[tuple[Site, Worker]]:
    """The site and its worker."""
    directory = tmp_path_factory.mktemp("site")
    environment.valkey.start().flush()
    database = Database.copied("sqlite", template=sqlite_template, directory=directory)
    variables = {"DATABASE_URL": database.url, VARIABLE: str(effects.path)}
    with django_db_blocker.unblock(), default_database_at(database.url):
        site = Site(directory, variables)
        worker = Worker(
            "worker1", environment=site.environment, log=directory / "worker.log", pool="threads", concurrency=4
        )
        worker.start()
        try:
            site.wait_until_ready()
            worker.wait_until_ready()
            yield site, worker
        finally:
            worker.clean_up()
            site.stop()


@pytest.fixture
def site(request: pytest.FixtureRequest, running: tuple[Site, Worker]) -> Site:
    """The running site."""
    site, worker = running
    request.node.stash.setdefault(REPORTS, []).extend([site.report, worker.report])
    site.inbox.clear()
    # What an earlier test left with the broker would come into this one's table.
    wait_for(lambda: not environment.valkey.client.keys("[^_]*.dead"), what="the dead letters of earlier tests")
    for rows in (DeadLetter, Job, Queue, OperatorAction, User):
        rows.objects.all().delete()
    return site


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser."""
    program = chromium.find()
    if program is None:
        if CI:
            pytest.fail("No browser is installed: run tests/system-packages.")
        pytest.skip("No browser is installed: run tests/system-packages.")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop running in this thread, which Django would take for an asynchronous caller.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=program, args=list(chromium.FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def window(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """A browser window of its own, in which nothing was said on the console when the test ends."""
    with chromium.quiet_window(browser, site.url) as window:
        yield window


@pytest.fixture
def page(window: BrowserContext) -> Page:
    """A tab."""
    return window.new_page()


@pytest.fixture
def operator(window: BrowserContext, site: Site) -> Page:
    """A tab of someone who may look and act."""
    user = people.person(*people.VIEW, "operate_job", "django_celery_beat.view_periodictask", email="ada@example.com")
    return logged_in(window, site, user)


@pytest.fixture
def viewer(window: BrowserContext, site: Site) -> Page:
    """A tab of someone who may only look."""
    return logged_in(window, site, people.person(*people.VIEW))


def logged_in(window: BrowserContext, site: Site, user: User) -> Page:
    """Return a tab in which a person is logged in."""
    name = settings.SESSION_COOKIE_NAME
    window.add_cookies([{"name": name, "value": people.logged_in(user).cookies[name].value, "url": site.url}])
    return window.new_page()
