"""How webhooks fare, in figures."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.core.states import State
from jobs.models import Job
from jobs.reports.webhooks import report
from tests.jobs.webhook_rows import died, webhook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nobody_subscribed")]


def test_the_latest_deliveries_are_counted_and_all_that_died() -> None:
    crm = webhook()
    rows = [died(crm) for _ in range(4)]
    Job.objects.filter(pk__in=[row.pk for row in rows[2:]]).update(state=State.SUCCEEDED)
    told = report(crm, window=3)
    assert (told.states[State.SUCCEEDED], told.dead, told.failed, told.is_cut) == (2, 2, 1, True)
    assert report(crm).is_cut is False
    assert report(webhook(name="other")).is_cut is False


def test_the_last_delivery_is_the_latest() -> None:
    crm = webhook()
    assert report(crm).last is None
    *_, last = [died(crm) for _ in range(3)]
    assert report(crm).last == last


def test_what_arrived_is_the_part_of_the_last_day() -> None:
    crm = webhook()
    assert report(crm).success_rate is None
    rows = [died(crm) for _ in range(4)]
    Job.objects.filter(pk__in=[row.pk for row in rows[:2]]).update(state=State.SUCCEEDED)
    Job.objects.filter(pk=rows[2].pk).update(finished_at=timezone.now() - timedelta(days=2))
    told = report(crm)
    assert (told.delivered, told.failed, told.dead, told.percent) == (2, 1, 2, 66)
