"""`flow list`, `flow limit`, `flow reset`, `flow pause`, `flow resume`, and `pause` of queues."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from jobs.cli.verb import Exit
from jobs.core.states import State
from jobs.models import FlowRule, Job, Queue
from tests.jobs.commands.conftest import Run
from tests.jobs.rows import claimed
from tests.tasks_app import tasks

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

TASK = tasks.noop.name


def test_a_limit_is_set_listed_and_reset(run: Run) -> None:
    ran = run("flow", "limit", "task", TASK, "--rate", "5/m", "--concurrency", "3")
    assert ran.out == f"Task {TASK} is limited as said, on all workers, until that is reset.\n"
    (rule,) = run("flow", "list", "--json").answer["rules"]
    assert (rule["rate"], rule["burst"], rule["concurrency"], rule["source"]) == ("5/m", 1, 3, "operator")
    assert "5/m" in run("flow", "list").out
    run("flow", "reset", "task", TASK)
    assert FlowRule.objects.get().rate is None
    assert run("flow", "list").out == "Nothing is limited, paused or weighed.\n"


def test_what_cannot_hold_is_refused(run: Run) -> None:
    assert run("flow", "limit", "task", "nobody", "--rate", "1/s").code == Exit.FAILED
    assert "is no rate" in run("flow", "limit", "task", TASK, "--rate", "5/day").error
    assert not FlowRule.objects.exists()


def test_a_limit_is_tried_on_the_past_and_nothing_is_changed(run: Run) -> None:
    for _ in range(3):
        job = claimed(task=TASK)
        Job.objects.filter(pk=job.pk).update(
            state=State.SUCCEEDED,
            finished_at=F("started_at") + timedelta(seconds=10),
            lease_id=None,
            lease_expires_at=None,
        )
    Job.objects.update(run_at=Job.objects.earliest("run_at").run_at)
    found = run("flow", "try", "task", TASK, "--concurrency", "1", "--json").answer
    assert (found["jobs"], found["waited"]) == (3, 2)
    assert found["longest_seconds"] == pytest.approx(20, abs=0.1)
    assert run("flow", "try", "task", TASK, "--rate", "100/s", "--burst", "3").out == (
        "None of 3 jobs would have waited.\n"
    )
    assert run("flow", "try", "task", "nobody", "--rate", "1/s").code == Exit.FAILED
    assert not FlowRule.objects.exists()


def test_a_tenant_is_weighed(run: Run) -> None:
    assert run("flow", "weight", "acme", "3").out == "Tenant acme weighs 3 where others weigh 1, in every queue.\n"
    (rule,) = run("flow", "list", "--json").answer["rules"]
    assert (rule["kind"], rule["name"], rule["weight"]) == ("tenant", "acme", 3)
    assert run("flow", "weight", "acme", "0").code == Exit.FAILED
    assert FlowRule.objects.get().weight == 3


def test_a_pause_has_a_reason_and_an_end(run: Run) -> None:
    run("flow", "pause", "tenant", "acme", "--reason", "unpaid", "--until", "2h")
    rule = FlowRule.objects.get()
    assert (rule.pause_reason, rule.paused_until is None) == ("unpaid", False)
    assert "unpaid" in run("flow", "list").out
    run("flow", "resume", "tenant", "acme")
    rule.refresh_from_db()
    assert rule.paused_at is None
    run("pause", "default", "--reason", "night")
    assert Queue.objects.get().pause_reason == "night"
    assert "a time to come" in run("pause", "default", "--until", "2020-01-01T00:00Z").error


@pytest.mark.parametrize("said, hour, minute", [("06:00", 6, 0), ("6:00", 6, 0), ("0:00", 0, 0), ("23:59", 23, 59)])
def test_a_pause_ends_when_clocks_next_show_a_time(run: Run, said: str, hour: int, minute: int) -> None:
    run("flow", "pause", "tenant", "acme", "--until", said)
    until = timezone.localtime(FlowRule.objects.get(name="acme").paused_until)
    assert (until.hour, until.minute, until.second) == (hour, minute, 0)
    assert timedelta() < until - timezone.now() <= timedelta(days=1)


@pytest.mark.parametrize("said", ["24:00", "6:5", "06:60", "-6:00", "06:00:00", "6"])
def test_what_is_no_time_ends_no_pause(run: Run, said: str) -> None:
    assert "must be an age" in run("flow", "pause", "tenant", "acme", f"--until={said}").error
