"""Who fills a queue is told by tenant and by task."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from jobs.core.held_by import HeldBy
from jobs.models import Job
from jobs.operations import flow
from jobs.reports import shares
from jobs.reports.shares import shares_of
from tests.jobs.people import viewer
from tests.jobs.rows import claimed, written
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db(transaction=True)

NOOP, NOTE = tasks.noop.name, tasks.note.name


def filled() -> None:
    """Fill the queue: three jobs of acme wait, one is held back; one of globex waits, one runs; one is nobody's."""
    claimed(task=NOOP)
    Job.objects.update(tenant="globex")
    for _ in range(3):
        written(task=NOTE, tenant="acme")
    first = Job.objects.filter(tenant="acme").order_by("pk")[0]
    Job.objects.filter(pk=first.pk).update(held_by=HeldBy.LIMIT)
    Job.objects.filter(tenant="acme").update(run_at=timezone.now() - timedelta(minutes=5))
    written(task=NOOP, tenant="globex")
    written(task=NOOP)
    written(task=NOOP, tenant="other", queue="elsewhere")
    flow.set_weight("acme", 2, actor="ann")


def test_it_is_told_by_tenant_and_by_task_who_has_most_first() -> None:
    filled()
    found = shares_of("default")
    assert found.waiting == 5
    assert [(one.name, one.waiting, one.held, one.running, one.part, one.weight) for one in found.tenants] == [
        ("acme", 3, 1, 0, 0.6, 2),
        ("globex", 1, 0, 1, 0.2, 1),
    ]
    assert [(one.name, one.waiting, one.held, one.running, one.weight) for one in found.tasks] == [
        (NOTE, 3, 1, 0, None),
        (NOOP, 2, 0, 1, None),
    ]
    assert found.tenants[0].waiting_seconds == pytest.approx(300, abs=60)


def test_an_empty_queue_is_filled_by_nobody() -> None:
    found = shares_of("default")
    assert (found.waiting, found.tenants, found.tasks) == (0, [], [])


def test_of_many_those_are_told_of_whom_most_wait() -> None:
    for number in range(shares.MOST + 3):
        written(tenant=f"tenant {number}")
    written(tenant="tenant 52")
    found = shares_of("default")
    assert (len(found.tenants), found.tenants_in_all) == (shares.MOST, shares.MOST + 3)
    assert found.tenants[0].name == "tenant 52"


def test_its_page_shows_it_and_links_to_the_jobs() -> None:
    filled()
    flow.set_weight("<b>bold</b>", 1, actor="ann")
    written(tenant="<b>bold</b>")
    client: Client = viewer()
    html = client.get("/jobs/queues/default/").content.decode()
    assert "acme" in html
    assert "&lt;b&gt;" in html
    assert "<b>bold" not in html
    assert "By task" in html
    assert "/jobs/queues/default/" in client.get("/jobs/queues/").content.decode()
    assert client.get("/jobs/queues/nowhere/").status_code == 404
