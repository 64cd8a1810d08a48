"""Limits and pauses of a task that was renamed hold for its jobs of every name, whichever of them was named."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone
from uuid_utils.compat import uuid7

from jobs import job
from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind, Limit
from jobs.core.states import State
from jobs.flow.declared import declare
from jobs.ledger import claims, renames, rules as ledger_rules
from jobs.metrics.families import families
from jobs.models import FlowRule, Job, TallyMark
from jobs.operations import flow as operations
from jobs.operations.filters import JobFilter
from jobs.operations.search import parse
from jobs.reports.flow import place_of, rules
from jobs.reports.shares import shares_of
from jobs.reports.tallies import count_on, tallies
from jobs.reports.what_if import what_if
from tests.jobs.claiming import claim, end, from_lines
from tests.jobs.rows import written

pytestmark = pytest.mark.django_db

NEW, OLD, OLDER = "tests.renamed.new", "tests.renamed.old", "tests.renamed.older"


@job(name=NEW, aliases=[OLD, OLDER], key="tenant", concurrency=2)
def renamed(tenant: str = "a") -> None: ...


@job(name="tests.renamed.plain", aliases=["tests.renamed.plainer"])
def plain() -> None: ...


@pytest.fixture(autouse=True)
def known() -> None:
    declare(current_app._get_current_object())


def waiting(name: str, key: str | None = "a", **changes: Any) -> Job:
    return written(task=name, limit_key=key and f"{name}:{key}", id=uuid7(), **changes)


def states(*jobs: Job) -> list[tuple[str, str | None]]:
    found = Job.objects.in_bulk([one.pk for one in jobs])
    return [(found[one.pk].state, found[one.pk].held_by) for one in jobs]


def test_a_limit_by_key_counts_the_jobs_of_all_names_together() -> None:
    jobs = [waiting(OLD), waiting(NEW), waiting(OLDER), waiting(NEW), waiting(NEW, "b")]
    begun = claim(*jobs)
    assert [one.id for one in begun] == [jobs[0].pk, jobs[1].pk, jobs[4].pk]
    assert from_lines() == []
    end(*begun[:1])
    assert [one.id for one in from_lines()] == [jobs[2].pk]
    end(*begun[1:2])
    assert [one.id for one in from_lines()] == [jobs[3].pk]


def test_a_limit_of_the_whole_task_counts_the_jobs_of_all_names_together() -> None:
    operations.set_limit(Kind.TASK, "tests.renamed.plain", rate=None, concurrency=1, actor="ann")
    jobs = [waiting(name, None) for name in ("tests.renamed.plainer", "tests.renamed.plain")]
    begun = claim(jobs[1])
    assert claim(jobs[0]) == []
    assert [rule.running for rule in rules() if rule.name == "tests.renamed.plain"] == [1]
    end(*begun)
    assert [one.id for one in from_lines()] == [jobs[0].pk]


def test_the_rate_of_the_task_is_spent_by_jobs_of_all_names() -> None:
    operations.set_limit(Kind.TASK, "tests.renamed.plain", rate="1/h", concurrency=None, actor="ann")
    assert len(claim(waiting("tests.renamed.plainer", None))) == 1
    assert claim(waiting("tests.renamed.plain", None), waiting("tests.renamed.plainer", None)) == []


@pytest.mark.parametrize("said", [OLD, NEW])
@pytest.mark.parametrize("enqueued", [OLD, OLDER, NEW])
def test_a_pause_under_either_name_holds_the_jobs_of_both(said: str, enqueued: str) -> None:
    operations.pause(Kind.TASK, said, actor="ann", reason="too fast")
    waits = waiting(enqueued)
    assert claim(waits) == []
    assert states(waits) == [("queued", HeldBy.PAUSED)]
    waits.refresh_from_db()
    place = place_of(waits)
    assert place is not None
    assert (place.rule, place.number) == (f"task {NEW}", 1)
    operations.resume(Kind.TASK, said, actor="ann")
    assert [one.id for one in from_lines()] == [waits.pk]


@pytest.mark.parametrize("said", [OLD, NEW])
def test_what_is_said_of_a_key_holds_for_that_key_of_all_names(said: str) -> None:
    operations.pause(Kind.KEY, f"{said}:a", actor="ann")
    assert claim(waiting(OLD), waiting(NEW)) == []
    assert len(claim(waiting(OLD, "b"), waiting(NEW, "c"))) == 2
    assert [(rule.kind, rule.name) for rule in rules() if rule.paused_at] == [(Kind.KEY, f"{NEW}:a")]


def test_a_task_that_nothing_limits_is_claimed_by_the_plain_statement_under_its_old_name() -> None:
    jobs = [waiting("tests.renamed.plainer", None), waiting("tests.renamed.plain", None)]
    found = claims.claim_many({one.pk: uuid.uuid4().hex for one in jobs}, lease_seconds=60, worker="worker@test")
    assert len(found.claimed) == 2


# --- The deploy that renames ----------------------------------------------------------------------


@pytest.fixture
def before() -> None:
    """Let the ledger be as before anybody knew the new name."""
    FlowRule.objects.all().delete()


@pytest.mark.usefixtures("before")
def test_what_operators_said_of_the_old_name_is_said_of_the_new_one() -> None:
    until = timezone.now() + timedelta(hours=1)
    paused = {"paused_at": timezone.now(), "paused_until": until, "paused_by": "ann", "pause_reason": "flood"}
    FlowRule.objects.create(kind="task", name=OLD, concurrency=7, source="operator", changed_by="bob", **paused)
    FlowRule.objects.create(kind="key", name=f"{OLD}:a", rate="1/h", source="operator", changed_by="cy")
    FlowRule.objects.create(kind="key", name="tests.renamed.older.but.another:a", rate="1/h", source="operator")
    declare(current_app._get_current_object())
    found = {(rule.kind, rule.name): rule for rule in rules()}
    task, key = found[Kind.TASK, NEW], found[Kind.KEY, f"{NEW}:a"]
    assert (task.concurrency, task.changed_by, task.paused_by, task.pause_reason) == (7, "bob", "ann", "flood")
    assert task.paused_until == until
    assert (key.rate, key.changed_by) == ("1/h", "cy")
    assert {name for kind, name in found if kind == Kind.KEY} == {f"{NEW}:a", "tests.renamed.older.but.another:a"}
    assert (Kind.TASK, OLD) not in found


@pytest.mark.usefixtures("before")
def test_what_was_said_of_the_new_name_stays_and_the_longer_pause_holds() -> None:
    soon, late = (timezone.now() + timedelta(hours=hours) for hours in (1, 2))
    for name, until, figure in ((OLD, late, 7), (NEW, soon, 3)):
        FlowRule.objects.create(
            kind="task",
            name=name,
            concurrency=figure,
            source="operator",
            paused_at=timezone.now(),
            paused_until=until,
            paused_by=name,
        )
    declare(current_app._get_current_object())
    row = FlowRule.objects.get(kind="task", name=NEW)
    assert (row.concurrency, row.paused_until, row.paused_by) == (3, late, OLD)


@pytest.mark.usefixtures("before")
def test_jobs_in_the_line_of_the_old_name_go_on_in_their_order_in_that_of_the_new_one() -> None:
    FlowRule.objects.create(kind="task", name=OLD, concurrency=1)
    begun, *held = [waiting(OLD, None) for _ in range(4)]
    claimed = claim(begun, *held)
    assert [one.id for one in claimed] == [begun.pk]
    declare(current_app._get_current_object())
    operations.set_limit(Kind.TASK, NEW, rate=None, concurrency=1, actor="ann")
    assert from_lines() == []
    assert set(Job.objects.filter(state=State.QUEUED).values_list("held_rule", flat=True)) == {
        FlowRule.objects.get(kind="task", name=NEW).pk
    }
    for one in held:
        end(*claimed)
        claimed = from_lines()
        assert [job.id for job in claimed] == [one.pk]
    assert from_lines() == []
    assert not FlowRule.objects.get(kind="task", name=OLD).has_line


def test_a_worker_of_the_old_code_keeps_to_the_limits_of_the_new_name() -> None:
    # What it declares at its start: the old name is its task's own.
    ledger_rules.declare(Kind.TASK, "code", {OLD: Limit(None, 1, 50)})
    renames.note({}, {OLD})
    assert len(claim(*(waiting(OLD) for _ in range(4)))) == 2
    assert [rule.name for rule in rules() if rule.kind == Kind.TASK and rule.name.startswith("tests.renamed")] == [NEW]


def test_of_names_in_a_row_each_leads_to_the_last_whichever_code_says_so() -> None:
    renames.note({"a": "b"}, {"b"})
    renames.note({"a": "c", "b": "c"}, {"c"})
    assert (renames.present("a"), renames.present("b")) == ("c", "c")
    renames.note({"a": "b"}, {"b"})
    assert (renames.present("a"), renames.present("b")) == ("c", "c")


def test_a_rename_that_was_taken_back_holds_no_more() -> None:
    renames.note({"a": "b", "z": "b"}, {"b"})
    renames.note({"b": "a"}, {"a"})
    assert [renames.present(name) for name in "abz"] == ["a", "a", "a"]


def test_an_old_name_that_is_another_tasks_now_is_that_ones() -> None:
    renames.note({"a": "b"}, {"b"})
    renames.note({}, {"a", "b"})
    assert renames.present("a") == "a"


def test_a_process_of_the_old_code_pauses_the_task_under_its_new_name() -> None:
    renames.note({"tests.renamed.plain": "tests.renamed.newest"}, {"tests.renamed.newest"})
    operations.pause(Kind.TASK, "tests.renamed.plain", actor="ann")
    assert FlowRule.objects.get(paused_at__isnull=False).name == "tests.renamed.newest"
    assert claim(waiting("tests.renamed.plain", None), waiting("tests.renamed.newest", None)) == []


# --- Found and counted ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [OLD, OLDER, NEW])
def test_a_search_by_any_name_finds_the_jobs_of_all(name: str) -> None:
    jobs = {waiting(one).pk for one in (OLD, OLDER, NEW)}
    waiting("tests.renamed.plain", None)
    assert set(JobFilter(task=name).jobs().values_list("pk", flat=True)) == jobs
    assert set(parse(f"task:{name}", timezone.now()).filter.jobs().values_list("pk", flat=True)) == jobs


def test_who_fills_a_queue_is_told_by_the_present_name() -> None:
    waiting(OLD)
    waiting(NEW)
    claim(waiting(OLDER))
    (share,) = shares_of("default").tasks
    assert (share.name, share.waiting, share.running, share.part) == (NEW, 2, 1, 1.0)


def test_a_limit_is_tried_on_the_past_of_all_names() -> None:
    since = timezone.now() - timedelta(hours=1)
    end(*claim(waiting(OLD), waiting(NEW)))
    end(*claim(waiting(OLDER)))
    assert what_if(Kind.TASK, NEW, Limit(None, 1, 1), since).jobs == 3
    assert what_if(Kind.KEY, f"{OLD}:a", Limit(None, 1, 1), since).jobs == 3


def test_figures_go_on_in_one_series() -> None:
    TallyMark.objects.update_or_create(pk=1, defaults={"until": timezone.now() - timedelta(minutes=1)})
    waiting(OLD, "z")
    waiting(NEW, "z")
    end(*claim(waiting(OLD), waiting(NEW)))
    count_on(timedelta(seconds=-5))
    counted = {(row.metric, row.task): row.count for row in tallies() if row.task.startswith("tests.renamed")}
    assert counted == {("finished", NEW): 2, ("duration", NEW): 2, ("wait", NEW): 2}
    (gauge,) = (family for family in families() if family.name.endswith("_jobs"))
    assert {(one.labels["task"], one.value) for one in gauge.samples} == {(NEW, 2)}
