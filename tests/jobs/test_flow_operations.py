"""Limits and pauses are changed while jobs run, are recorded, and hold until somebody or their time ends them."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils import timezone

from jobs.conf import queue_limits
from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind, Limit
from jobs.core.states import State
from jobs.errors import InvalidRule
from jobs.ledger.pauses import end_pauses
from jobs.models import FlowRule, Job, OperatorAction, Queue
from jobs.operations import flow as operations
from jobs.reports.flow import Place, place_of, rules
from tests.jobs.claiming import claim, from_lines
from tests.jobs.rows import written
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db

TASK = tasks.noop.name


def set_limit(**figures: Any) -> FlowRule:
    return operations.set_limit(Kind.TASK, TASK, **{"rate": None, "concurrency": None, "actor": "ann", **figures})


# --- Limits ---------------------------------------------------------------------------------------


def test_a_limit_holds_as_soon_as_it_is_set_and_is_recorded() -> None:
    assert len(claim(written(), written())) == 2
    set_limit(rate="5/m", burst=2, concurrency=3)
    (rule,) = rules()
    assert (rule.kind, rule.name, rule.figures, rule.source_words, rule.running) == (
        Kind.TASK,
        TASK,
        "5/m, 2 at one moment, 3 at once",
        "ann",
        2,
    )
    assert len(claim(written(), written())) == 1
    (action,) = OperatorAction.objects.all()
    assert (action.action, action.actor) == ("limit", "ann")
    assert action.target == {"task": TASK, "rate": "5/m", "burst": 2, "concurrency": 3}


def test_a_limit_that_is_raised_lets_those_in_line_begin() -> None:
    set_limit(concurrency=1)
    assert len(claim(*(written() for _ in range(4)))) == 1
    set_limit(concurrency=3)
    assert len(from_lines()) == 2


@pytest.mark.parametrize(
    "figures, said",
    [
        ({"rate": "5/day"}, "'5/day' is no rate"),
        ({"rate": "0/s"}, "'0/s' is no rate"),
        ({"burst": 0}, "burst=0 is not valid"),
        ({"concurrency": -1}, "concurrency=-1 is not valid"),
        ({"concurrency": True}, "concurrency=True is not valid"),
    ],
)
def test_figures_that_are_none_are_refused_and_nothing_is_written(figures: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRule, match=said):
        set_limit(**figures)
    assert not FlowRule.objects.exists()
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize(
    "kind, name",
    [
        (Kind.TASK, "tests.nobody"),
        (Kind.QUEUE, "emial"),
        (Kind.KEY, f"{TASK}:7"),
        (Kind.KEY, "7"),
        (Kind.TENANT, ""),
        (Kind.TENANT, "x" * 201),
        (Kind.TENANT, "a\x00b"),
    ],
)
def test_what_is_not_there_cannot_be_limited_or_paused(kind: Kind, name: str) -> None:
    with pytest.raises(InvalidRule, match=f"There is no {kind}"):
        operations.pause(kind, name, actor="ann")
    with pytest.raises(InvalidRule, match=f"There is no {kind}"):
        operations.set_limit(kind, name, rate="1/s", concurrency=None, actor="ann")


def test_a_limit_is_reset_to_what_the_code_says() -> None:
    name = tasks.slotted.name
    operations.set_limit(Kind.TASK, name, rate="1/h", concurrency=50, actor="ann")
    operations.reset_limit(Kind.TASK, name, actor="ann")
    rule = FlowRule.objects.get()
    assert (rule.rate, rule.concurrency, rule.source, rule.changed_by) == (None, 3, "code", "")


@override_settings(JOBS_LIMITS={"default": "10/s burst:5 concurrency:2"})
def test_a_queue_has_the_limit_of_the_settings() -> None:
    assert queue_limits() == {"default": Limit("10/s", 5, 2)}
    operations.set_limit(Kind.QUEUE, "default", rate=None, concurrency=7, actor="ann")
    operations.reset_limit(Kind.QUEUE, "default", actor="ann")
    rule = FlowRule.objects.get()
    assert (rule.rate, rule.burst, rule.concurrency, rule.source) == ("10/s", 5, 2, "setting")


@pytest.mark.parametrize("figures", ["10", "fast", "0/s", "concurrency:0", "concurrency:x", "width:3", "burst:-1"])
def test_a_setting_that_is_no_limit_names_queue_and_value(figures: str) -> None:
    with (
        override_settings(JOBS_LIMITS={"email": figures}),
        pytest.raises(ImproperlyConfigured, match=f"JOBS_LIMITS=email={figures} is not valid"),
    ):
        queue_limits()


# --- Weights ---------------------------------------------------------------------------------------


def test_a_weight_is_recorded_and_shown_and_goes_with_no_limit() -> None:
    operations.set_weight("acme", 2.5, actor="ann")
    (rule,) = rules()
    assert (rule.kind, rule.name, rule.weight, rule.weight_words, rule.figures) == (
        Kind.TENANT,
        "acme",
        2.5,
        "weight 2.5",
        "",
    )
    (action,) = OperatorAction.objects.all()
    assert (action.action, action.actor, action.target) == ("weight", "ann", {"tenant": "acme", "weight": 2.5})
    operations.reset_limit(Kind.TENANT, "acme", actor="ann")
    assert FlowRule.objects.get().weight == 2.5
    operations.set_weight("acme", 1, actor="ann")
    assert rules() == []


@pytest.mark.parametrize("weight", [0, -1, 0.009, 100.1, float("nan"), float("inf"), True, None, "3"])
def test_a_weight_that_is_none_is_refused_and_nothing_is_written(weight: Any) -> None:
    with pytest.raises(InvalidRule, match=r"it must be a number from 0\.01 to 100"):
        operations.set_weight("acme", weight, actor="ann")
    with pytest.raises(InvalidRule, match="There is no tenant"):
        operations.set_weight("", 3, actor="ann")
    assert not FlowRule.objects.exists()
    assert not OperatorAction.objects.exists()


# --- Pauses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, name, of_it",
    [
        (Kind.TASK, TASK, {}),
        (Kind.TASK, TASK, {"limit_key": f"{TASK}:7"}),
        (Kind.KEY, f"{tasks.by_tenant.name}:7", {"limit_key": f"{tasks.by_tenant.name}:7"}),
        (Kind.TENANT, "acme", {"tenant": "acme"}),
    ],
)
def test_what_is_paused_waits_and_goes_on_in_order_when_it_is_resumed(
    kind: Kind, name: str, of_it: dict[str, Any]
) -> None:
    operations.pause(kind, name, actor="ann", reason="they asked for it")
    held, free = written(**of_it), written(task=tasks.note.name)
    assert [one.id for one in claim(held, free)] == [free.pk]
    held.refresh_from_db()
    assert (held.state, held.held_by, held.held_back, held.attempt) == (State.QUEUED, HeldBy.PAUSED, "paused", 0)
    assert from_lines() == []
    operations.resume(kind, name, actor="bob")
    held.refresh_from_db()
    assert held.held_by == HeldBy.LIMIT
    assert [one.id for one in from_lines()] == [held.pk]
    assert [(one.action, one.actor, one.target) for one in OperatorAction.objects.order_by("pk")] == [
        ("pause", "ann", {str(kind): name, "reason": "they asked for it"}),
        ("resume", "bob", {str(kind): name}),
    ]


def test_a_pause_of_those_in_line_is_told_to_them() -> None:
    set_limit(concurrency=1)
    claim(written(), written())
    operations.pause(Kind.TASK, TASK, actor="ann", reason="maintenance")
    found = Job.objects.get(state=State.QUEUED)
    place = place_of(found)
    assert found.held_back == "paused"
    assert place is not None
    assert place.words == f"waits since task {TASK} is paused by ann: maintenance"


def test_a_pause_ends_by_itself_at_its_time() -> None:
    soon = timezone.now() + timedelta(hours=1)
    operations.pause(Kind.TASK, TASK, actor="ann", until=soon)
    operations.pause(Kind.QUEUE, "default", actor="ann", reason="night", until=soon)
    assert end_pauses() == []
    assert Queue.objects.get().pause_reason == "night"
    FlowRule.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    Queue.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    assert end_pauses() == ["queue default", f"task {TASK}"]
    assert end_pauses() == []
    assert len(claim(written())) == 1


def test_a_pause_until_a_time_that_is_past_is_refused() -> None:
    for kind, name in ((Kind.TASK, TASK), (Kind.QUEUE, "default")):
        with pytest.raises(InvalidRule, match="a pause ends at a time to come"):
            operations.pause(kind, name, actor="ann", until=timezone.now() - timedelta(seconds=1))
        with pytest.raises(InvalidRule, match="at most 200 characters"):
            operations.pause(kind, name, actor="ann", reason="x" * 201)


# --- Where a job stands ---------------------------------------------------------------------------


def test_a_job_in_line_knows_its_place_and_about_how_long_it_waits() -> None:
    set_limit(rate="6/m")
    jobs = [written() for _ in range(4)]
    (begun,) = claim(*jobs)
    waiting = {place.number: place for job in Job.objects.filter(state=State.QUEUED) if (place := place_of(job))}
    assert sorted(waiting) == [1, 2, 3]
    assert waiting[1].seconds == pytest.approx(10, abs=3)
    assert waiting[3].seconds == pytest.approx(30, abs=3)
    assert waiting[3].words.startswith(f"waits for limit {TASK}, 3rd in line, about ")
    assert place_of(Job.objects.get(pk=begun.id)) is None


@pytest.mark.parametrize("number, words", [(1, "1st"), (2, "2nd"), (11, "11th"), (22, "22nd"), (113, "113th")])
def test_places_are_said_as_people_say_them(number: int, words: str) -> None:
    assert f", {words} in line" in Place("limit x", number, None).words
