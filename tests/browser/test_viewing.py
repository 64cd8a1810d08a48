"""Who may look and not act sees everything but the actions, and the server refuses them."""

from django.conf import settings
from playwright.sync_api import Page, expect

from jobs.core.states import State
from jobs.models import DeadLetter, Job, OperatorAction, Queue
from tests.browser.site import Site
from tests.jobs.dashboard.letters import letter
from tests.jobs.rows import in_state

PAGES = ("", "list/", "dead/", "dead/list/", "queues/", "schedules/", "webhooks/", "workers/", "history/")


def post(page: Page, site: Site, path: str, **form: str) -> int:
    """Send a form as the browser would, with a token against forgery; return the answer's status."""
    token = "t" * 32
    page.context.add_cookies([{"name": settings.CSRF_COOKIE_NAME, "value": token, "url": site.url}])
    answer = page.context.request.post(path, form={**form, "csrfmiddlewaretoken": token}, max_redirects=0)
    return answer.status


def test_no_page_offers_an_action(viewer: Page, site: Site) -> None:
    dead = letter()
    assert dead.job_id
    for path in (*PAGES, f"{dead.job_id}/", f"dead/{dead.pk}/"):
        viewer.goto(f"/jobs/{path}")
        expect(viewer.get_by_role("heading", level=1)).to_be_visible()
        expect(viewer.locator("main form[method=post]")).to_have_count(0)
        expect(viewer.locator("main").get_by_role("checkbox")).to_have_count(0)


def test_the_keyboard_does_nothing_either(viewer: Page, site: Site) -> None:
    job = in_state(State.DEAD)
    viewer.goto("/jobs/list/")
    for key in "jxr":
        viewer.keyboard.press(key)
    viewer.goto(f"/jobs/{job.pk}/")
    viewer.keyboard.press("r")
    expect(viewer.locator(".job-head .state")).to_have_text("dead")
    assert Job.objects.get(pk=job.pk).state == State.DEAD


def test_what_is_sent_all_the_same_is_refused(viewer: Page, site: Site) -> None:
    dead = letter()
    assert post(viewer, site, "/jobs/retry", id=str(dead.job_id)) == 403
    assert post(viewer, site, "/jobs/dead/replay", id=str(dead.pk)) == 403
    assert post(viewer, site, "/jobs/queues/email/pause") == 403
    assert DeadLetter.objects.get().is_open
    assert not Queue.objects.exists()
    assert not OperatorAction.objects.exists()


def test_an_operator_sends_the_same_and_is_obeyed(operator: Page, site: Site) -> None:
    assert post(operator, site, "/jobs/queues/email/pause") == 302
    assert Queue.objects.get().paused_by == "ada@example.com"
