"""A search in a large ledger: no page takes long, and the browser goes on by itself."""

from collections.abc import Iterator

import pytest
from django.db import connection
from playwright.sync_api import Page, expect

from jobs.models import Job
from tests.browser.site import Site
from tests.jobs.rows import waiting

#: More than the site looks through in the time that a page has.
MANY = 60_000


@pytest.fixture
def large(site: Site) -> Iterator[Job]:
    """A ledger of many jobs, and the oldest of them."""
    wanted = waiting(kwargs='{"name": "violin"}')
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs_job (id, task, queue, state, args, kwargs, finished_at, created_at) WITH RECURSIVE"
            " numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < %s)"
            " SELECT printf('%%032x', number), 'tests.tasks_app.tasks.noop', 'default', 'succeeded', '[]', '{}',"
            " datetime('now'), datetime('now', '+1 hour') FROM numbers",
            [MANY],
        )
    yield wanted
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_job")


def test_a_search_goes_on_until_it_finds_something(viewer: Page, large: Job) -> None:
    first = viewer.context.request.get("/jobs/list/?q=violin").text()
    assert "Nothing found yet" in first
    viewer.goto("/jobs/list/?q=violin")
    expect(viewer.locator(f'tr[data-job="{large.pk}"]')).to_be_visible()


def test_a_search_ends_where_there_is_nothing(viewer: Page, large: Job) -> None:
    viewer.goto("/jobs/list/?q=oboe")
    expect(viewer.get_by_text("Nothing further")).to_be_visible()
