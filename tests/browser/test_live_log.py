"""What a job logs appears on its page while it is open; what it encrypts never does."""

from django.utils import timezone
from playwright.sync_api import Page, expect

from jobs.models import AttemptLog, Job
from tests.tasks_app import tasks
from tests.tasks_app.sealed import sealed


def says(job: Job, text: str) -> None:
    """Write down what a job logged, as its worker does."""
    AttemptLog.objects.create(job_id=job.pk, number=1, at=timezone.now(), text=text)


def test_a_line_that_is_logged_appears_on_the_open_page(viewer: Page) -> None:
    job = tasks.noop.apply_async(countdown=3600).job
    viewer.goto(f"/jobs/{job.pk}/")
    expect(viewer.locator("[data-live-state]")).to_have_text("Live")
    expect(viewer.get_by_role("heading", name="Log")).to_have_count(0)
    says(job, "the first line")
    log = viewer.get_by_role("region", name="Log of attempt 1")
    expect(log).to_have_text("the first line")
    says(job, "<b>and another</b>")
    expect(log).to_have_text("the first line\n<b>and another</b>")


def test_the_page_of_an_encrypted_job_says_so_and_no_more(viewer: Page) -> None:
    job = sealed.apply_async(("good", "xyzzy-plugh"), countdown=3600).job
    viewer.goto(f"/jobs/{job.pk}/")
    expect(viewer.get_by_role("region", name="Arguments").get_by_text("encrypted")).to_have_count(3)
    assert "xyzzy" not in viewer.content()
    assert job.kwargs["__encrypted__"] not in viewer.content()
