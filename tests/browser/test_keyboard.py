"""The dashboard by keyboard alone."""

import re

from playwright.sync_api import Page, expect

from jobs.core.states import State
from jobs.models import Job
from tests.browser.site import Site
from tests.jobs.rows import in_state
from tests.tasks_app.tasks import noop
from tests.waiting import wait_for


def three_jobs(page: Page) -> None:
    """Open a list of three."""
    for _ in range(3):
        noop.apply_async(countdown=3600)
    page.goto("/jobs/list/")
    expect(page.locator("tr[data-job]")).to_have_count(3)


def test_rows_are_walked_chosen_retried_and_opened(operator: Page, site: Site) -> None:
    three_jobs(operator)
    rows = operator.locator("tr[data-job]")
    links = rows.locator(".first a")
    operator.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    operator.keyboard.press("j")
    operator.keyboard.press("j")
    operator.keyboard.press("k")
    expect(links.nth(1)).to_be_focused()
    operator.keyboard.press("x")
    expect(rows.nth(1).get_by_role("checkbox")).to_be_checked()
    chosen = rows.nth(1).get_attribute("data-job") or ""

    operator.keyboard.press("r")
    expect(operator.get_by_role("dialog", name="Retry 1 job?")).to_be_visible()
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("Retried 1 job.")).to_be_visible()
    wait_for(lambda: Job.objects.filter(pk=chosen, state=State.SUCCEEDED).exists())

    expect(operator.get_by_text("Live", exact=True)).to_be_visible()
    operator.keyboard.press("j")
    operator.keyboard.press("Enter")
    expect(operator).to_have_url(re.compile(r"/jobs/[0-9a-f-]{36}/$"))


def test_a_slash_leads_to_the_search_from_everywhere(operator: Page, site: Site) -> None:
    operator.goto("/jobs/workers/")
    operator.keyboard.press("/")
    search = operator.get_by_label("Search jobs")
    expect(search).to_be_focused()

    operator.keyboard.type("stat")
    expect(operator.get_by_role("option", name="state: ")).to_be_visible()
    operator.keyboard.press("ArrowDown")
    operator.keyboard.press("Enter")
    operator.keyboard.type("de")
    operator.keyboard.press("ArrowDown")
    operator.keyboard.press("Enter")
    expect(search).to_have_value("state:dead ")
    operator.keyboard.press("Enter")
    expect(operator).to_have_url(re.compile(r"q=state%3Adead"))


def test_single_keys_are_letters_where_somebody_writes(operator: Page, site: Site) -> None:
    three_jobs(operator)
    operator.get_by_label("Search jobs").focus()
    operator.keyboard.type("?jgq")
    expect(operator.get_by_label("Search jobs")).to_have_value("?jgq")
    expect(operator.get_by_role("dialog")).to_have_count(0)


def test_a_question_mark_shows_all_keys(operator: Page, site: Site) -> None:
    operator.goto("/jobs/")
    operator.keyboard.press("?")
    dialog = operator.get_by_role("dialog", name="Keys")
    for line in ("search jobs", "next, previous row", "retry what is chosen", "go to Dead letters"):
        expect(dialog).to_contain_text(line)
    operator.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    operator.keyboard.press("g")
    operator.keyboard.press("q")
    expect(operator.get_by_role("heading", name="Queues")).to_be_visible()


def test_ctrl_k_finds_pages_queues_and_a_jobs_id(operator: Page, site: Site) -> None:
    job = in_state(State.DEAD)
    operator.goto("/jobs/")
    operator.keyboard.press("Control+k")
    operator.keyboard.type("tests.other")
    expect(operator.get_by_role("option").first).to_contain_text("queue")
    operator.keyboard.press("Control+a")
    operator.keyboard.type(str(job.pk))
    operator.keyboard.press("Enter")
    expect(operator).to_have_url(re.compile(str(job.pk)))


def test_the_first_stop_of_tab_is_the_way_to_the_content(operator: Page, site: Site) -> None:
    operator.goto("/jobs/")
    operator.keyboard.press("Tab")
    expect(operator.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(operator.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    operator.keyboard.press("Enter")
    expect(operator.locator("main")).to_be_focused()
