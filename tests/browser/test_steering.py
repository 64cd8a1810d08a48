"""An operator finds out what happened and mends it, in the dashboard of a site at work."""

import json
import uuid
from pathlib import Path

from django_celery_beat.models import IntervalSchedule, PeriodicTask
from playwright.sync_api import Page, Route, expect

from jobs.core.states import State
from jobs.models import DeadLetter, Job, OperatorAction
from jobs.operations import actions
from jobs.operations.filters import JobFilter
from tests.browser.site import Site
from tests.tasks_app.effects import Effects
from tests.tasks_app.tasks import elsewhere, gated, needing, telling
from tests.waiting import always, wait_for

NEEDING = "tests.tasks_app.tasks.needing"


def in_state(state: State, **wanted: object) -> int:
    """Count the jobs in a state."""
    return Job.objects.filter(state=state, **wanted).count()


def failed(effect: str, file: Path) -> uuid.UUID:
    """Return a job that gave up because a file is missing, and whose letter is in the table."""
    job_id = uuid.UUID(needing.delay(effect, str(file)).id)
    wait_for(lambda: DeadLetter.objects.filter(job_id=job_id).exists(), what="the dead letter")
    return job_id


def state_on(page: Page, state: str) -> None:
    """Wait until a job's page shows a state."""
    expect(page.locator(".job-head [data-part=state] .state")).to_have_text(state)


def test_a_job_goes_through_its_states_while_one_looks(operator: Page, site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = gated.apply_async(kwargs={"effect": "seen", "gate": str(gate)}, countdown=3600)
    operator.goto(f"/jobs/{job.id}/")
    expect(operator.get_by_text("Live", exact=True)).to_be_visible()
    operator.evaluate("window.sameDocument = true")
    state_on(operator, "scheduled")

    actions.retry_jobs(JobFilter(ids=(uuid.UUID(job.id),)), actor="somebody else")
    state_on(operator, "running")
    expect(operator.locator(".steps")).to_contain_text("Attempt 1, still running")

    gate.touch()
    state_on(operator, "succeeded")
    expect(operator.get_by_role("button", name="Run again")).to_be_visible()
    assert operator.evaluate("window.sameDocument")


def test_a_running_job_shows_how_far_it_is(operator: Page, site: Site, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = telling.apply_async((str(gate),), countdown=3600)
    operator.goto(f"/jobs/{job.id}/")
    expect(operator.get_by_text("Live", exact=True)).to_be_visible()
    actions.retry_jobs(JobFilter(ids=(uuid.UUID(job.id),)), actor="somebody else")
    expect(operator.get_by_text("1 of 4 (25 %) · Warming up")).to_be_visible()

    gate.touch()
    expect(operator.get_by_text("4 of 4 (100 %) · Tidying up")).to_be_visible()
    expect(operator.get_by_role("progressbar", name="Progress")).to_have_attribute("value", "4")

    Path(f"{gate} of the end").touch()
    state_on(operator, "succeeded")
    expect(operator.get_by_role("progressbar")).to_have_count(0)


def test_what_happens_while_a_page_is_fetched_anew_is_shown_too(operator: Page, site: Site) -> None:
    job = elsewhere.apply_async(("seen",), countdown=3600)
    operator.goto(f"/jobs/{job.id}/")
    expect(operator.get_by_text("Live", exact=True)).to_be_visible()
    page_was_made = False

    def hold(route: Route) -> None:
        """Let the page arrive after its job was cancelled, though it was made before."""
        nonlocal page_was_made
        answer = route.fetch()
        if not page_was_made:
            page_was_made = True
            actions.cancel_jobs(JobFilter(ids=(uuid.UUID(job.id),)), actor="somebody else")
            state_on(operator, "cancelled")
        route.fulfill(response=answer)

    operator.route(f"**/jobs/{job.id}/", hold)
    wait_for(lambda: operator.evaluate("true") and page_was_made, 30, what="the page's looking again")
    expect(operator.get_by_text("Cancelled by somebody else.")).to_be_visible()


def test_the_list_follows_its_jobs_and_lets_new_ones_wait_while_it_is_in_use(operator: Page, site: Site) -> None:
    operator.goto("/jobs/list/")
    expect(operator.get_by_text("The ledger is empty")).to_be_visible()
    first = elsewhere.apply_async(("first",), countdown=3600)
    operator.goto("/jobs/list/")
    expect(operator.get_by_text("Live", exact=True)).to_be_visible()
    row = operator.locator(f"tr[data-job='{first.id}']")
    expect(row.locator(".state")).to_have_text("scheduled")

    row.get_by_role("checkbox").check()
    elsewhere.apply_async(("second",), countdown=3600)
    operator.get_by_role("button", name="1 new").click()
    expect(operator.locator("tr[data-job]")).to_have_count(2)
    expect(row.get_by_role("checkbox")).to_be_checked()

    actions.retry_jobs(JobFilter(ids=(uuid.UUID(first.id),)), actor="somebody else")
    expect(row.locator(".state")).to_have_text("succeeded")


def test_a_failed_job_is_found_its_error_read_and_its_retry_seen_to_succeed(
    operator: Page, site: Site, tmp_path: Path, effects: Effects
) -> None:
    failed("found", tmp_path / "letterhead.pdf")
    failed("not asked for", tmp_path / "another.pdf")
    operator.goto("/jobs/list/")
    operator.get_by_label("Search jobs").fill("state:dead error:letterhead")
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("1 matches")).to_be_visible()
    operator.get_by_role("link", name=NEEDING).click()

    expect(operator.locator(".notice")).to_contain_text("letterhead.pdf is missing")
    expect(operator.locator(".traceback .own").last).to_contain_text("in needing")

    (tmp_path / "letterhead.pdf").touch()
    operator.get_by_role("button", name="Retry").click()
    expect(operator.get_by_text("Retried 1 job.")).to_be_visible()
    state_on(operator, "succeeded")
    assert (effects.count("found"), effects.count("not asked for")) == (1, 0)


def test_what_was_asked_for_is_done_though_the_page_puts_the_button_anew_meanwhile(
    operator: Page, site: Site, tmp_path: Path, effects: Effects
) -> None:
    job = failed("anew", tmp_path / "paper")
    operator.goto(f"/jobs/{job}/")
    (tmp_path / "paper").touch()

    def answer_late(route: Route) -> None:
        operator.evaluate(
            "for (const form of document.querySelectorAll('form[data-asks]')) form.replaceWith(form.cloneNode(true))"
        )
        route.continue_()

    operator.route("**/jobs/retry", answer_late, times=1)
    operator.get_by_role("button", name="Retry").click()
    expect(operator.get_by_text("Retried 1 job.")).to_be_visible()
    wait_for(lambda: effects.count("anew") == 1)


def test_all_that_match_are_retried_after_their_number_was_said(
    operator: Page, site: Site, tmp_path: Path, effects: Effects
) -> None:
    file = tmp_path / "template"
    # More than a page shows.
    needing.delay_many([{"effect": "all", "file": str(file)} for _ in range(53)])
    elsewhere.delay("bystander")
    wait_for(lambda: in_state(State.DEAD) == 53 and effects.count("bystander"), 20)
    operator.goto(f"/jobs/list/?q=state:dead+task:{NEEDING}")
    operator.get_by_label("that match").check()
    operator.get_by_role("button", name="Retry all").click()
    expect(operator.get_by_role("heading", name="Retry 53 jobs?")).to_be_visible()
    assert in_state(State.DEAD) == 53

    file.touch()
    operator.get_by_role("dialog").get_by_role("button", name="Retry 53 jobs").click()
    expect(operator.get_by_text("Retried 53 jobs.")).to_be_visible()
    wait_for(lambda: effects.count("all") == 53, 20)
    assert effects.count("bystander") == 1
    action = OperatorAction.objects.get()
    assert (action.actor, action.action, action.count) == ("ada@example.com", "retry", 53)


def test_a_question_left_unanswered_changes_nothing(operator: Page, site: Site, tmp_path: Path) -> None:
    failed("left", tmp_path / "nothing")
    operator.goto("/jobs/dead/")
    operator.get_by_role("button", name="Discard").click()
    expect(operator.get_by_role("heading", name="Discard 1 dead letter?")).to_be_visible()
    operator.get_by_role("link", name="Leave it as it is").click()
    expect(operator.get_by_role("dialog")).to_have_count(0)
    assert DeadLetter.objects.get().is_open


def test_a_dead_letter_is_corrected_and_replayed(operator: Page, site: Site, tmp_path: Path, effects: Effects) -> None:
    (tmp_path / "right").touch()
    dead = failed("corrected", tmp_path / "wrong")
    operator.goto("/jobs/dead/")
    expect(operator.get_by_text("1 open, by task and error.")).to_be_visible()
    operator.get_by_role("link", name=NEEDING).click()
    operator.get_by_role("link", name=NEEDING).click()
    field = operator.get_by_label("Arguments, as JSON")
    arguments = json.loads(field.input_value())
    assert arguments["file"].endswith("wrong")

    field.fill("{not JSON")
    operator.get_by_role("button", name="Replay with these").click()
    expect(operator.get_by_text("This is not JSON")).to_be_visible()
    expect(field).to_have_value("{not JSON")

    field.fill(json.dumps({**arguments, "file": str(tmp_path / "right")}))
    operator.get_by_role("button", name="Replay with these").click()
    state_on(operator, "succeeded")
    expect(operator.get_by_role("heading", name="Corrected copy of")).to_be_visible()
    assert effects.count("corrected") == 1
    assert Job.objects.get(pk=dead).state == State.DEAD
    assert not DeadLetter.objects.get(job_id=dead).is_open


def test_a_paused_queue_waits_until_it_is_resumed(operator: Page, site: Site, effects: Effects) -> None:
    operator.goto("/jobs/queues/")
    row = operator.locator("tr[data-queue='tests.other']")
    row.get_by_role("button", name="Pause").click()
    expect(operator.get_by_text("Paused queue tests.other.")).to_be_visible()
    elsewhere.delay("waited")
    expect(row.get_by_role("cell", name="paused")).to_have_count(2)
    expect(row.locator("[data-label=queued]")).to_have_text("1")
    always(lambda: not effects.count("waited"), 1.5)

    row.get_by_role("button", name="Resume").click()
    wait_for(lambda: effects.count("waited") == 1)
    expect(row.locator("[data-label=queued]")).to_have_text("0")


def test_a_schedule_is_run_now(operator: Page, site: Site, effects: Effects) -> None:
    never, _ = IntervalSchedule.objects.get_or_create(every=365, period=IntervalSchedule.DAYS)
    schedule = PeriodicTask.objects.create(
        name="Yearly note",
        task="tests.tasks_app.tasks.note",
        kwargs=json.dumps({"effect": "yearly"}),
        interval=never,
    )
    operator.goto("/jobs/schedules/")
    row = operator.get_by_role("row", name="Yearly note")
    expect(row).to_contain_text("never ran")
    row.get_by_role("button", name="Run now").click()
    expect(operator.get_by_text("Yearly note runs now, as this job.")).to_be_visible()
    state_on(operator, "succeeded")
    assert effects.count("yearly") == 1

    operator.get_by_role("navigation", name="Jobs").get_by_role("link", name="Schedules").click()
    expect(row).to_contain_text("asked for by ada@example.com")
    schedule.delete()
