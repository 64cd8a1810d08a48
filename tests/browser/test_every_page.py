"""Every page of a site with something to see: for readers of screens, in both themes, on every width, and silent."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect
from pytest_django import DjangoDbBlocker

from accounts.models import User
from tests.browser import chromium, demo
from tests.browser.conftest import logged_in
from tests.browser.shots import shots
from tests.browser.site import Site
from tests.databases import Database, default_database_at

#: Pages that nobody needs a picture of.
MORE = {
    "resend": "/sign-up/again/",
    "password-reset": "/password-reset/",
    "password-change": "/account/password/",
    "email-change": "/account/email/",
    "no-results": "/posts/search/?q=nothing-like-it",
    "own-posts": "/posts/mine/",
    "new-post": "/posts/new/",
    "jobs-mistaken": "/jobs/list/?q=state:red",
    "jobs-none": "/jobs/list/?q=task:nothing",
    "new-job-tasks": "/jobs/new/",
    "letters-none": "/jobs/dead/list/?text=nothing-like-it",
}
NAMES = (
    *(
        "overview",
        "overview-week",
        "jobs",
        "job",
        "job-running",
        "group",
        "flow",
        "new-job",
        "dead-letters",
        "dead-letters-list",
        "dead-letter",
    ),
    *(
        "queues",
        "queue",
        "schedules",
        "webhooks",
        "webhook",
        "workers",
        "history",
        "front",
        "posts",
        "post",
        "search",
        "log-in",
        "sign-up",
    ),
    *("account", "inbox", "mail", "admin", *MORE),
)
#: What axe calls grave enough to keep somebody out.
GRAVE = {"serious", "critical"}
#: The admin's search field, which Django labels with an image.
NOT_OURS = {"exclude": [["#searchbar"]]}

#: Texts that are torn: what stands in a flexible box beside an element becomes a column of its own.
TORN = """[...document.querySelectorAll("main *")]
    .filter((one) => getComputedStyle(one).display.endsWith("flex"))
    .filter((one) => [...one.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()).length > 1)
    .map((one) => one.outerHTML.slice(0, 200))"""


@dataclass(frozen=True)
class Tour:
    """Two tabs, of the operator and of a stranger, and where each page is."""

    operator: Page
    stranger: Page
    addresses: dict[str, tuple[str, bool]]

    def visit(self, name: str) -> Page:
        """Open a page in the light theme and return its tab."""
        address, signed_in = self.addresses[name]
        page = self.operator if signed_in else self.stranger
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(address)
        return page


@pytest.fixture(scope="module")
def tour(
    browser: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: DjangoDbBlocker,
    sqlite_template: str,
) -> Iterator[Tour]:
    """A site full of things, where no worker changes any of them."""
    directory = tmp_path_factory.mktemp("full")
    database = Database.copied("sqlite", template=sqlite_template, directory=directory)
    with django_db_blocker.unblock(), default_database_at(database.url):
        demo.fill(directory / "inbox", jobs=1_500)
        site = Site(directory, {"DATABASE_URL": database.url}, mails=False)
        try:
            site.wait_until_ready()
            # What the console says fails the test that is the last of this module; it names the page.
            with (
                chromium.quiet_window(browser, site.url, reduced_motion="reduce") as window,
                chromium.quiet_window(browser, site.url, reduced_motion="reduce") as outside,
            ):
                operator = logged_in(window, site, User.objects.get(email=demo.OPERATOR))
                addresses = {shot.name: (shot.path, shot.signed_in) for shot in shots()}
                addresses |= {name: (path, True) for name, path in MORE.items()}
                addresses["mail"] = (f"/inbox/{site.inbox.ids()[0]}/", True)
                yield Tour(operator, outside.new_page(), addresses)
        finally:
            site.stop()


def test_every_page_is_on_the_tour(tour: Tour) -> None:
    assert set(tour.addresses) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_keeps_nobody_out_and_scrolls_nowhere_sideways(tour: Tour, name: str) -> None:
    page = tour.visit(name)
    page.evaluate(AXE_SCRIPT)
    assert grave(page) == []
    # The dark theme changes colours and nothing else; the admin's change slowly.
    page.emulate_media(color_scheme="dark")
    page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
    assert grave(page, runOnly=["color-contrast"]) == []
    for width in (360, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(TORN) == []


def grave(page: Page, **options: object) -> list[str]:
    """Return what axe finds that is grave: the rule, and the elements."""
    # Of what is in order it need not tell: that is thousands of elements.
    asked = [NOT_OURS, {**options, "resultTypes": ["violations"]}]
    found = page.evaluate("([context, options]) => axe.run(context, options)", asked)["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("width", [360, 1024, 1440])
def test_what_a_chart_says_of_a_moment_moves_nothing(tour: Tour, width: int) -> None:
    page = tour.visit("overview-week")
    page.set_viewport_size({"width": width, "height": 800})
    place = "document.getElementById('queues').getBoundingClientRect().top + scrollY"
    for chart in page.locator("[data-chart]").all():
        before = page.evaluate(place)
        chart.locator(".hit").nth(40).hover()
        expect(chart.locator(".readout")).not_to_be_empty()
        assert page.evaluate(place) == before


def test_the_dark_theme_is_dark_everywhere(tour: Tour) -> None:
    page = tour.visit("overview")
    page.emulate_media(color_scheme="dark")
    for place in ("html", ".bar", "main .rows td", "main .plot .drawing"):
        assert lightness(page, place, "background-color") < 0.2, place
        assert lightness(page, place, "color") > 0.5, place
    expect(page.locator("html")).to_have_css("background-color", "rgb(15, 20, 29)")


def lightness(page: Page, place: str, attribute: str) -> float:
    """Return how light the first element there is drawn, from 0 to 1; what is transparent shows what is below."""
    script = """([place, attribute]) => {
        let at = document.querySelector(place);
        while (at.parentElement && getComputedStyle(at)[attribute] === "rgba(0, 0, 0, 0)") at = at.parentElement;
        return getComputedStyle(at)[attribute];
    }"""
    red, green, blue = map(int, re.findall(r"\d+", page.evaluate(script, [place, attribute]))[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
