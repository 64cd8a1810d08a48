"""The page of a group: members by state, progress, what follows; retry all that died, cancel all."""

import re
import uuid

import pytest
from django.test import Client
from django.urls import reverse

from jobs.core.states import State
from jobs.models import Job, JobGroup
from tests.jobs.group_rows import group_of
from tests.tasks_app.canvas import listed

pytestmark = pytest.mark.usefixtures("valkey")


def address(group: JobGroup) -> str:
    return reverse("jobs:group", args=[group.pk])


def words(html: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.decode().replace("<wbr>", "")).split())


def test_a_group_shows_how_far_it_is(viewer: Client) -> None:
    group = group_of(5, succeeded=2, dead=1)
    page = words(viewer.get(address(group)).content)
    assert "3 of 5 have ended" in page
    assert "left, at the rate so far" in page
    for state, number in (("queued", 2), ("succeeded", 2), ("dead", 1)):
        assert f"{state} {number}" in page
    assert f"body {listed.name}" in page
    assert "Permanent: it fails" in page


@pytest.mark.parametrize(
    "given, headline",
    [
        ({"size": 2, "succeeded": 2}, "All 2 have succeeded"),
        ({"size": 3, "succeeded": 2, "dead": 1}, "All 3 have ended, 1 not well"),
        ({"size": 3}, "0 of 3 have ended"),
    ],
)
def test_the_headline_says_how_a_group_stands(viewer: Client, given: dict[str, int], headline: str) -> None:
    assert headline in words(viewer.get(address(group_of(**given))).content)


def test_only_who_may_act_is_shown_buttons(viewer: Client, operator: Client) -> None:
    group = group_of(3, dead=1)
    assert "Retry all that died" in words(operator.get(address(group)).content)
    assert "Cancel all" in words(operator.get(address(group)).content)
    assert "Retry all that died" not in words(viewer.get(address(group)).content)


@pytest.mark.parametrize(
    "button, before, after", [("retry", State.DEAD, State.QUEUED), ("cancel", State.QUEUED, State.CANCELLED)]
)
def test_a_button_asks_and_then_does_so_with_all(operator: Client, button: str, before: State, after: State) -> None:
    group = group_of(4, succeeded=1, dead=2)
    page = operator.get(address(group)).content.decode()
    form = page[page.index(f'action="/jobs/{button}"') :]
    fields = dict(re.findall(r'type="hidden" name="(all|q|next)" value="([^"]*)"', form.partition("</form>")[0]))
    meant = set(Job.objects.filter(group_id=group.pk, state=before).values_list("pk", flat=True))
    asked = operator.post(f"/jobs/{button}", fields)
    assert asked.context["matched"] == len(meant)
    operator.post(f"/jobs/{button}", {**fields, "confirmed": "1"})
    assert set(Job.objects.filter(pk__in=meant).values_list("state", flat=True)) == {after}


def test_a_job_leads_to_its_group_and_back(viewer: Client) -> None:
    group = group_of(2)
    job = Job.objects.filter(group_id=group.pk).first()
    assert job is not None
    assert address(group) in viewer.get(reverse("jobs:job", args=[job.pk])).content.decode()
    assert reverse("jobs:job", args=[job.pk]) in viewer.get(address(group)).content.decode()


def test_the_search_finds_the_members_of_a_group(viewer: Client) -> None:
    group = group_of(3, dead=1)
    group_of(2)
    found = viewer.get(reverse("jobs:jobs"), {"q": f"group:{group.pk} state:queued"})
    assert len(found.context["listing"].rows) == 2


def test_a_group_that_is_not_there_is_not_found(viewer: Client) -> None:
    assert viewer.get(reverse("jobs:group", args=[uuid.uuid4()])).status_code == 404
