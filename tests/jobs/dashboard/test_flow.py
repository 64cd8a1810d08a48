"""The page of limits and pauses, and its forms."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind
from jobs.models import FlowRule, Job, Queue
from jobs.operations import flow
from tests.jobs.rows import written
from tests.tasks_app import tasks

TASK = tasks.noop.name
PAGE = "/jobs/flow/"


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def test_the_page_says_what_is_limited_what_runs_and_what_waits(viewer: Client) -> None:
    rule = flow.set_limit(Kind.TASK, TASK, rate="5/m", burst=2, concurrency=3, actor="ann")
    written()
    Job.objects.update(held_by=HeldBy.LIMIT, held_rule=rule.pk, held_since=timezone.now())
    flow.pause(Kind.QUEUE, "default", actor="bob", reason="<b>night</b>")
    html = viewer.get(PAGE).content.decode()
    assert "5/m, 2 at one moment, 3 at once" in html
    assert "0 of 3" in html
    assert "by bob: &lt;b&gt;night&lt;/b&gt;" in html
    assert "Set a limit" not in html
    job = Job.objects.get()
    page = viewer.get(f"/jobs/{job.pk}/").content.decode()
    assert f"waits for limit {TASK}, 1st in line, about " in page


def test_a_limit_is_set_and_reset(operator: Client) -> None:
    form = {"kind": "task", "name": TASK, "rate": "5/m", "burst": "", "concurrency": "7"}
    assert said(operator.post(f"{PAGE}limit", form, follow=True)).startswith(f"Limited task {TASK}")
    rule = FlowRule.objects.get()
    assert (rule.rate, rule.burst, rule.concurrency, rule.source) == ("5/m", 1, 7, "operator")
    operator.post(f"{PAGE}reset", {"kind": "task", "name": TASK})
    rule.refresh_from_db()
    assert (rule.rate, rule.concurrency, rule.source) == (None, None, "code")


def test_a_tenant_is_weighed(operator: Client) -> None:
    answer = operator.post(f"{PAGE}weight", {"name": "acme", "weight": "0.5"}, follow=True)
    assert said(answer) == "Tenant acme weighs 0.5 where others weigh 1, in every queue."
    assert "weight 0.5" in answer.content.decode()
    assert FlowRule.objects.get().weight == 0.5


@pytest.mark.parametrize("kind, name", [("task", TASK), ("queue", "default"), ("tenant", "acme")])
def test_what_is_paused_for_a_time_says_so_and_is_resumed(operator: Client, kind: str, name: str) -> None:
    form = {"kind": kind, "name": name, "reason": "night", "for": "60"}
    assert said(operator.post(f"{PAGE}pause", form, follow=True)).startswith(f"Paused {kind} {name}.")
    row: Any = Queue.objects.get() if kind == "queue" else FlowRule.objects.get()
    assert row.pause_reason == "night"
    assert row.paused_until - row.paused_at == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=5))
    operator.post(f"{PAGE}resume", {"kind": kind, "name": name})
    row.refresh_from_db()
    assert (row.paused_at, row.paused_until, row.pause_reason) == (None, None, "")


@pytest.mark.parametrize(
    "verb, form",
    [
        ("limit", {"kind": "task", "name": TASK, "rate": "5/day"}),
        ("limit", {"kind": "task", "name": TASK, "concurrency": "-1"}),
        ("limit", {"kind": "task", "name": "nobody"}),
        ("limit", {"kind": "colour", "name": TASK}),
        ("pause", {"kind": "task", "name": TASK, "for": "7"}),
        ("pause", {"kind": "task", "name": TASK, "reason": "x" * 300}),
        ("reset", {}),
        ("resume", {"kind": "queue", "name": "emial"}),
        ("weight", {"name": "acme", "weight": "0"}),
        ("weight", {"name": "acme", "weight": "much"}),
        ("weight", {"name": "acme"}),
        ("weight", {"weight": "3"}),
    ],
)
def test_what_is_not_valid_changes_nothing_and_is_told(operator: Client, verb: str, form: dict[str, str]) -> None:
    assert said(operator.post(f"{PAGE}{verb}", form, follow=True)).startswith("Nothing was changed.")
    assert not FlowRule.objects.exists()


def test_who_may_only_look_changes_nothing(viewer: Client) -> None:
    for verb in ("limit", "reset", "pause", "resume", "weight"):
        assert viewer.post(f"{PAGE}{verb}", {"kind": "task", "name": TASK}).status_code == 403
