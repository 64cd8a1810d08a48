"""Limits, pauses and weights in the admin."""

import pytest
from django.test import Client

from jobs.core.limits import Kind
from jobs.models import FlowRule, OperatorAction
from jobs.operations import flow
from tests.jobs.people import operator, viewer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

LIST = "/admin/jobs/flowrule/"


def weigh(client: Client, rule: FlowRule, weight: str) -> str:
    form = {"action": "weigh", "weight": weight, "_selected_action": [rule.pk]}
    return client.post(LIST, form, follow=True).content.decode()


def test_an_operator_weighs_the_tenants_chosen() -> None:
    flow.pause(Kind.TENANT, "acme", actor="ann")
    rule = FlowRule.objects.get()
    assert "Tenant acme weighs 3 where others weigh 1." in weigh(operator(), rule, "3")
    rule.refresh_from_db()
    assert rule.weight == 3
    assert OperatorAction.objects.filter(action="weight").count() == 1


@pytest.mark.parametrize("weight", ["0", "much", ""])
def test_a_weight_that_is_none_is_told_and_changes_nothing(weight: str) -> None:
    flow.set_weight("acme", 2, actor="ann")
    rule = FlowRule.objects.get()
    assert "Tenant acme was not changed." in weigh(operator(), rule, weight)
    rule.refresh_from_db()
    assert rule.weight == 2


def test_what_is_no_tenant_has_no_weight() -> None:
    rule = FlowRule.objects.create(kind=Kind.QUEUE, name="default", concurrency=2)
    assert "Tenants have weights, a queue has none." in weigh(operator(), rule, "3")


def test_whoever_may_only_look_weighs_nobody() -> None:
    flow.pause(Kind.TENANT, "acme", actor="ann")
    weigh(viewer(), FlowRule.objects.get(), "3")
    assert FlowRule.objects.get().weight is None
