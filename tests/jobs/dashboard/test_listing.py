"""Looking for jobs in a bounded time."""

import pytest

from jobs.core.states import State
from jobs.models import Job
from jobs.operations.filters import JobFilter
from jobs.reports import listing
from jobs.reports.listing import newest
from tests.jobs import verbs
from tests.jobs.rows import ERROR, claimed, written

pytestmark = pytest.mark.django_db


@pytest.fixture
def short_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at few jobs in each statement."""
    monkeypatch.setattr(listing, "FIRST_REACH", 2)
    monkeypatch.setattr(listing, "REACH", 3)


def everything(selection: JobFilter, seconds: float) -> tuple[list[str], int]:
    found, pages, cursor = [], 0, ""
    while pages < 50:
        page = newest(selection, limit=2, cursor=cursor, seconds=seconds)
        found += [str(job.pk) for job in page.rows]
        pages += 1
        if page.next_cursor is None:
            return found, pages
        cursor = page.next_cursor
    raise AssertionError("no end")


@pytest.mark.usefixtures("short_reach")
@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_whatever_the_time_everything_is_found_once_and_in_order(seconds: float) -> None:
    for number in range(12):
        written(task="rare" if number % 3 == 0 else "common")
    wanted = [str(pk) for pk in JobFilter(task="rare").jobs().values_list("pk", flat=True)]
    assert everything(JobFilter(task="rare"), seconds)[0] == wanted
    assert len(wanted) == 4


@pytest.mark.usefixtures("short_reach")
def test_where_time_runs_out_it_says_how_far_it_looked() -> None:
    jobs = [written() for _ in range(6)]
    page = newest(JobFilter(task="nobody"), limit=2, seconds=0)
    assert (list(page.rows), page.reached) == ([], jobs[4].created_at)


def failed(number: int) -> Job:
    job = claimed(lease_id=f"{number}" * 32)
    assert verbs.die(job.pk, f"{number}" * 32, ERROR)
    return job


@pytest.mark.usefixtures("short_reach")
@pytest.mark.parametrize(
    "selection", [JobFilter(error="nothing like it"), JobFilter(states=(State.DEAD,), text="nothing like it")]
)
def test_among_failures_only_failures_are_looked_at(selection: JobFilter) -> None:
    jobs = [failed(1), failed(2), failed(3)]
    for _ in range(9):
        written()
    assert newest(selection, limit=2, seconds=0).reached == jobs[1].created_at


@pytest.mark.usefixtures("short_reach")
def test_it_looks_back_no_further_than_asked() -> None:
    jobs = [written() for _ in range(6)]
    page = newest(JobFilter(task="nobody", created_after=jobs[-1].created_at), limit=2, seconds=0)
    assert (page.next_cursor, page.reached) == (None, None)


@pytest.mark.usefixtures("short_reach")
def test_many_jobs_of_one_moment_are_passed(django_assert_max_num_queries: object) -> None:
    jobs = [written() for _ in range(9)]
    Job.objects.update(created_at=jobs[0].created_at)
    assert everything(JobFilter(task="nobody"), 0.0)[0] == []
    assert len(everything(JobFilter(queue="default"), 0.0)[0]) == 9


def test_what_an_index_answers_is_asked_at_once() -> None:
    assert listing.is_indexed(JobFilter())
    assert listing.is_indexed(JobFilter(states=(State.DEAD,)))
    assert listing.is_indexed(JobFilter(correlation_id="x", text="y"))
    assert not listing.is_indexed(JobFilter(error="x"))
