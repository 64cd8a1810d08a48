"""The dashboard works without JavaScript: links, forms and pages are enough."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from jobs.core.states import State
from jobs.models import Job
from tests.browser import chromium
from tests.browser.conftest import logged_in
from tests.browser.site import Site
from tests.jobs import people
from tests.tasks_app.effects import Effects
from tests.tasks_app.tasks import needing
from tests.waiting import wait_for


@pytest.fixture
def plain(browser: Browser, site: Site) -> Iterator[Page]:
    """A tab of an operator whose browser runs no scripts."""
    with chromium.quiet_window(browser, site.url, java_script_enabled=False) as window:
        yield logged_in(window, site, people.person(*people.VIEW, "operate_job"))


def test_failed_jobs_are_found_counted_and_retried(plain: Page, site: Site, tmp_path: Path, effects: Effects) -> None:
    file = tmp_path / "plain"
    needing.delay_many([{"effect": "plain", "file": str(file)} for _ in range(3)])
    wait_for(lambda: Job.objects.filter(state=State.DEAD).count() == 3)
    plain.goto("/jobs/")
    plain.get_by_role("navigation", name="Jobs", exact=True).get_by_role("link", name="Jobs").click()
    plain.get_by_label("Search jobs").fill("error:missing")
    plain.get_by_role("button", name="Search").click()
    plain.get_by_label("all 3 that match").check()
    plain.get_by_role("button", name="Retry").click()
    expect(plain.get_by_role("heading", name="Retry 3 jobs?")).to_be_visible()

    file.touch()
    plain.get_by_role("button", name="Retry 3 jobs").click()
    expect(plain.get_by_text("Retried 3 jobs.")).to_be_visible()
    wait_for(lambda: effects.count("plain") == 3)
    plain.get_by_role("link", name="succeeded").click()
    expect(plain.locator("tr[data-state=succeeded]")).to_have_count(3)
