"""The list of jobs: the search line is the address, pages stay what they are, what nobody may see is not shown."""

import html
import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from jobs.core.states import State
from jobs.dashboard import jobs as module
from jobs.models import Job
from jobs.reports import listing
from tests.jobs.rows import in_state, waiting, written

LIST = "/jobs/list/"


def ids(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"{LIST}?{query}")
    assert answer.status_code == 200
    return [str(job.pk) for job in answer.context["listing"].rows]


def test_an_empty_ledger_says_what_would_appear(viewer: Client) -> None:
    assert b"The ledger is empty" in viewer.get(LIST).content


def test_the_search_line_chooses(viewer: Client) -> None:
    dead, queued = in_state(State.DEAD), written(queue="tests.other", kwargs='{"effect": "find me"}', task=NOTE)
    assert ids(viewer) == [str(queued.pk), str(dead.pk)]
    assert ids(viewer, "q=state:dead") == [str(dead.pk)]
    assert ids(viewer, "q=queue:tests.other") == [str(queued.pk)]
    assert ids(viewer, "q=find+me") == [str(queued.pk)]
    assert ids(viewer, 'q=kwargs.effect:"find me"') == [str(queued.pk)]
    assert ids(viewer, "q=error:failed") == [str(dead.pk)]
    assert ids(viewer, "q=state:running") == []


NOTE = "tests.tasks_app.tasks.note"


def test_positional_arguments_are_found_by_their_names(viewer: Client) -> None:
    job = written(task=NOTE, args='["hello"]')
    assert ids(viewer, "q=kwargs.effect:hello") == [str(job.pk)]
    assert ids(viewer, "q=kwargs.effect:bye") == []


@pytest.mark.parametrize("key", ["contains", "in", "regex", "gt", "isnull"])
def test_a_key_that_django_would_take_for_an_operation_is_a_key(viewer: Client, key: str) -> None:
    job = written(task=NOTE, kwargs=f'{{"effect": {{"{key}": 1}}}}')
    assert ids(viewer, f"q=kwargs.effect.{key}:1") == [str(job.pk)]
    assert ids(viewer, f"q=kwargs.{key}:1") == []


def test_what_a_task_hides_is_neither_shown_nor_found(viewer: Client) -> None:
    written(task="unknown.task", kwargs='{"password": "hunter2"}')
    assert b"hunter2" not in viewer.get(LIST).content
    assert ids(viewer, "q=hunter2") == []
    assert ids(viewer, "q=kwargs.password:hunter2") == []


def test_a_line_that_cannot_be_meant_finds_nothing_and_says_why(viewer: Client) -> None:
    written()
    answer = viewer.get(f"{LIST}?q=state:ded")
    assert b"is no state" in answer.content
    assert not answer.context["listing"].rows


def test_pages_follow_each_other_while_jobs_arrive(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    jobs = [str(written().pk) for _ in range(5)]
    for number, job in enumerate(jobs):
        # SQLite's times are too coarse to tell which of them came first.
        Job.objects.filter(pk=job).update(created_at=F("created_at") - timedelta(seconds=5 - number))
    first = viewer.get(LIST)
    assert [str(job.pk) for job in first.context["listing"].rows] == jobs[:2:-1]
    written()
    assert ids(viewer, first.context["next_query"]) == [jobs[2], jobs[1]]


def test_a_search_that_has_found_nothing_yet_says_where_it_goes_on(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FIRST_REACH", 2)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    jobs = [written(kwargs='{"name": "violin"}'), written(), written(), written()]
    for number, job in enumerate(jobs):
        # SQLite's times are too coarse to tell which of them came first.
        Job.objects.filter(pk=job.pk).update(created_at=F("created_at") - timedelta(seconds=5 - number))
    text = viewer.get(f"{LIST}?q=violin").content.decode()
    assert "Nothing found yet" in text
    (further,) = re.findall(r'data-further="\?([^"]+)"', text)
    assert ids(viewer, html.unescape(further)) == [str(jobs[0].pk)]


def test_a_page_that_is_no_page_leads_to_the_beginning(viewer: Client) -> None:
    assert viewer.get(f"{LIST}?q=state:dead&after=nonsense").url == f"{LIST}?q=state:dead"  # type: ignore[attr-defined]


def test_the_worst_news_stand_in_the_row(viewer: Client) -> None:
    in_state(State.DEAD)
    assert b'<p class="news">ValueError: it failed</p>' in viewer.get(LIST).content


def test_it_says_when_a_waiting_job_is_due(viewer: Client) -> None:
    job = waiting()
    text = viewer.get(LIST).content.decode()
    assert f'datetime="{job.run_at.isoformat()}"' in text


def test_counts_stand_beside_the_states_while_nothing_else_is_asked_for(viewer: Client) -> None:
    in_state(State.DEAD)
    in_state(State.DEAD)
    tabs = {tab["label"]: tab.get("count") for tab in viewer.get(LIST).context["tabs"]}
    assert tabs["dead"].value == 2
    tabs = {tab["label"]: tab.get("count") for tab in viewer.get(f"{LIST}?q=task:x").context["tabs"]}
    assert tabs["dead"] is None


def test_old_jobs_are_found_by_time(viewer: Client) -> None:
    old = written()
    Job.objects.filter(pk=old.pk).update(created_at=F("created_at") - timedelta(days=3))
    new = written()
    assert ids(viewer, "q=since:1d") == [str(new.pk)]
    assert ids(viewer, "q=until:1d") == [str(old.pk)]


def test_the_buttons_lead_to_one_address_for_each_verb(operator: Client) -> None:
    written()
    text = operator.get(LIST).content.decode()
    assert f'formaction="{reverse("jobs:retry")}"' in text
    assert f'formaction="{reverse("jobs:cancel")}"' in text
