"""The dashboard on a phone: what matters is reachable with a thumb."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.models import DeadLetter
from tests.browser import chromium
from tests.browser.conftest import logged_in
from tests.browser.site import Site
from tests.jobs import people
from tests.tasks_app.effects import Effects
from tests.tasks_app.tasks import needing
from tests.waiting import wait_for

#: The smallest a finger hits, in pixels.
THUMB = 40


@pytest.fixture
def phone(browser: Browser, site: Site) -> Iterator[Page]:
    """A tab of an operator's phone."""
    screen = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    with chromium.quiet_window(browser, site.url, **screen) as window:
        yield logged_in(window, site, people.person(*people.VIEW, "operate_job"))


def test_from_the_overview_to_a_failed_job_and_its_retry(
    phone: Page, site: Site, tmp_path: Path, effects: Effects
) -> None:
    needing.delay("thumb", str(tmp_path / "file"))
    wait_for(DeadLetter.objects.exists)
    phone.goto("/jobs/")
    phone.locator(".narrow-rooms summary").tap()
    phone.get_by_role("navigation", name="Jobs, folded").get_by_role("link", name="Jobs").tap()
    phone.get_by_role("link", name="tests.tasks_app.tasks.needing").tap()
    expect(phone.locator(".notice")).to_contain_text("file is missing")

    (tmp_path / "file").touch()
    retry = phone.get_by_role("button", name="Retry")
    expect(retry).to_be_in_viewport()
    # The page may just be putting another in its place.
    box = wait_for(retry.bounding_box)
    assert box is not None
    assert min(box["width"], box["height"]) >= THUMB
    retry.tap()
    expect(phone.locator(".job-head .state")).to_have_text("succeeded")
    assert effects.count("thumb") == 1


def test_a_row_is_a_card_with_the_facts_that_matter(phone: Page, site: Site) -> None:
    job = needing.apply_async(("later", "/"), countdown=3600)
    phone.goto("/jobs/list/")
    card = phone.locator(f"tr[data-job='{job.id}']")
    for fact in (card.locator(".state"), card.get_by_text("default"), card.locator("time").first):
        expect(fact).to_be_in_viewport()
    expect(phone.locator("thead th").first).not_to_be_in_viewport()
