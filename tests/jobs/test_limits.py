"""Limits of tasks, queues and keys: how they are declared, and what a claim makes of them."""

import uuid
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from celery import current_app
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from jobs import job
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.errors import EnqueueError, InvalidOption
from jobs.flow import claim as flow
from jobs.flow.declared import declare
from jobs.ledger import claims, operate
from jobs.ledger.claims import Claimed
from jobs.models import FlowRule, Job
from jobs.tasks import limits as declarations
from jobs.tasks.keys import limit_key
from tests.jobs.claiming import WORKER, claim, end, from_lines
from tests.jobs.locks import elsewhere
from tests.jobs.rows import written
from tests.tasks_app import tasks

pytestmark = pytest.mark.django_db

TASK, OTHER = tasks.noop.name, tasks.note.name


def limit(kind: str = "task", name: str = TASK, **figures: Any) -> FlowRule:
    return FlowRule.objects.create(kind=kind, name=name, **figures)


def end_all() -> None:
    """Let all that runs have succeeded."""
    end(*claims.under(list(Job.objects.filter(state=State.RUNNING).values_list("lease_id", flat=True))))  # type: ignore[arg-type]


def many(number: int, **changes: Any) -> list[Job]:
    return [waiting(**changes) for _ in range(number)]


def waiting(**changes: Any) -> Job:
    """Write a job; of several of one moment, whose ids are in order."""
    return written(**{"task": TASK, "id": uuid7(), **changes})


# --- Declared -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, said",
    [
        ({"rate_limit": "10/fortnight"}, "rate_limit='10/fortnight' is not valid: it must be a number above zero"),
        ({"rate_limit": "0/s"}, "rate_limit='0/s' is not valid"),
        ({"rate_limit": -1}, "rate_limit=-1 is not valid"),
        ({"rate_limit": True}, "rate_limit=True is not valid"),
        ({"concurrency": 0}, "concurrency=0 is not valid: it must be a whole number, one or more"),
        ({"concurrency": -2}, "concurrency=-2 is not valid"),
        ({"concurrency": 2.5}, "concurrency=2.5 is not valid"),
        ({"concurrency": True}, "concurrency=True is not valid"),
        ({"concurrency": 2**31}, "concurrency=2147483648 is not valid"),
        ({"rate_limit": "1/s", "burst": 0}, "burst=0 is not valid"),
        ({"burst": 5}, "burst= says nothing without rate_limit="),
        ({"key": ""}, "key='' is not valid: it must be an argument's name"),
        ({"key": "{tenant"}, "key='{tenant' is not valid"),
        ({"key": "two words"}, "key='two words' is not valid"),
        ({"key": 7}, "key=7 is not valid"),
        ({"key": "nobody"}, "'nobody' is no argument of"),
        ({"key": "{tenant}:{region}"}, "'region' is no argument of"),
    ],
)
def test_a_limit_that_cannot_hold_is_refused_at_job(options: dict[str, Any], said: str) -> None:
    def send(tenant: int) -> None: ...

    declared: Any = job
    with pytest.raises(InvalidOption) as refused:
        declared(name="tests.limits.refused", **options)(send)
    assert said in str(refused.value)


def by_domain(address: str) -> str:
    return address.partition("@")[2]


@job(name="tests.limits.by_name", key="tenant", concurrency=1)
def by_name(tenant: int, other: str = "") -> None: ...


@job(name="tests.limits.by_template", key="{tenant}:{options[region]}", concurrency=1)
def by_template(tenant: int, options: dict[str, str]) -> None: ...


@job(name="tests.limits.by_callable", key=by_domain, concurrency=1)
def by_callable(address: str) -> None: ...


@job(name="tests.limits.by_secret", key="token", redact=("token",), concurrency=1)
def by_secret(token: str) -> None: ...


@job(bind=True, name="tests.limits.bound", key="{tenant}", concurrency=1)
def bound(self: Any, tenant: int) -> None: ...


@pytest.mark.parametrize(
    "task, args, key",
    [
        (by_name, (7,), "tests.limits.by_name:7"),
        (by_template, (7, {"region": "eu"}), "tests.limits.by_template:7:eu"),
        (by_callable, ("a@example.org",), "tests.limits.by_callable:example.org"),
        (bound, (7,), "tests.limits.bound:7"),
        (tasks.noop, (), None),
    ],
)
def test_a_jobs_key_is_made_of_its_arguments(task: Any, args: tuple[Any, ...], key: str | None) -> None:
    assert Job.objects.get(pk=task.delay(*args).id).limit_key == key
    (many_of_it,) = task.delay_many([args])
    assert Job.objects.get(pk=many_of_it.id).limit_key == key


def test_a_key_of_hidden_arguments_or_of_great_length_is_a_digest() -> None:
    secret, long = limit_key(by_secret, ("hush",), {}), limit_key(by_callable, ("a@" + "x" * 500,), {})
    assert "hush" not in str(secret)
    assert len(str(secret)) < 100
    assert secret != limit_key(by_secret, ("other",), {})
    assert len(str(long)) < 100


@pytest.mark.parametrize("key", ["a\x00b", "\ud800"])
def test_a_key_that_no_database_holds_is_refused_at_the_call(key: str) -> None:
    with pytest.raises(InvalidOption, match="holds no NUL character and no lone surrogate"):
        limit_key(by_name, (key,), {})


def test_a_template_that_the_arguments_do_not_fill_is_refused_at_the_call() -> None:
    with pytest.raises(EnqueueError, match="cannot be made of the arguments: KeyError"):
        by_template.delay(7, {})
    assert not Job.objects.exists()


def test_what_tasks_declare_is_written_once_and_taken_back_with_the_declaration() -> None:
    FlowRule.objects.create(kind="task", name=OTHER, rate="9/s", source="code")
    FlowRule.objects.create(kind="task", name="known.elsewhere", rate="9/s", source="code")
    declare(current_app)
    declare(current_app)
    found = {rule.name: rule for rule in FlowRule.objects.filter(kind="task")}
    assert (found[tasks.paced.name].rate, found[tasks.paced.name].burst) == ("10/s", 1)
    assert (found[tasks.slotted.name].concurrency, found[tasks.slotted.name].is_per_key) == (3, False)
    assert found[tasks.by_tenant.name].is_per_key
    assert found[OTHER].rate is None
    assert found["known.elsewhere"].rate == "9/s"
    assert tasks.noop.name not in found


def test_what_somebody_has_changed_stays_whatever_the_code_says() -> None:
    limit(name=tasks.paced.name, rate="1/h", source="operator")
    declare(current_app)
    rule = FlowRule.objects.get(name=tasks.paced.name)
    assert (rule.rate, rule.source) == ("1/h", "operator")


def test_two_tasks_of_one_name_with_other_limits_are_named_at_a_workers_start() -> None:
    try:
        assert declarations.why_ambiguous() == ""
        declarations.note("tests.limits.twice", {"rate_limit": "1/s"})
        declarations.note("tests.limits.twice", {"rate_limit": 1})
        assert declarations.why_ambiguous() == ""
        declarations.note("tests.limits.twice", {"concurrency": 2})
        assert "'tests.limits.twice' and declare different limits (concurrency=2; rate_limit='1/s'" in (
            declarations.why_ambiguous()
        )
    finally:
        declarations._noted.pop("tests.limits.twice", None)


# --- Claimed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, name", [("task", TASK), ("queue", "default"), ("key", f"{TASK}:7")])
def test_as_many_run_as_may_and_the_others_stand_in_line(kind: str, name: str) -> None:
    rule = limit(kind, name, concurrency=2)
    jobs = many(5, limit_key=f"{TASK}:7" if kind == "key" else None)
    begun = claim(*jobs)
    assert [one.id for one in begun] == [one.pk for one in jobs[:2]]
    held = Job.objects.filter(state=State.QUEUED)
    assert {(one.held_by, one.held_rule, one.dispatched_at, one.attempt) for one in held} == {
        (HeldBy.LIMIT, rule.pk, None, 0)
    }
    assert {one.held_back for one in held} == {"waits for a limit"}
    assert from_lines() == []
    end(begun[0])
    assert [one.id for one in from_lines()] == [jobs[2].pk]
    end(begun[1])
    assert [one.id for one in from_lines(1)] == [jobs[3].pk]
    third = Job.objects.get(pk=jobs[2].pk)
    assert (third.state, third.held_by, third.held_since, third.held_rule) == (State.RUNNING, None, None, None)


def test_the_more_urgent_and_who_waits_longer_are_first_whichever_message_came() -> None:
    limit(concurrency=1)
    (running,) = claim(*many(1))
    patient, urgent = waiting(), waiting(priority=9)
    assert claim(patient, urgent) == []
    end(running)
    late = waiting()
    # The message of the last one brings the first one.
    assert [one.id for one in claim(late)] == [urgent.pk]
    assert Job.objects.get(pk=late.pk).held_by == HeldBy.LIMIT
    end_all()
    assert [one.id for one in from_lines()] == [patient.pk]


def test_jobs_of_one_key_hold_up_no_others() -> None:
    limit(concurrency=1, is_per_key=True)
    jobs = [waiting(limit_key=f"{TASK}:{tenant}") for tenant in ("a", "a", "b", "a", "b", "c")]
    assert [one.id for one in claim(*jobs)] == [jobs[0].pk, jobs[2].pk, jobs[5].pk]
    assert FlowRule.objects.filter(kind="key", has_line=True).count() == 2


def test_a_keys_own_figures_win_over_those_of_its_task() -> None:
    limit(concurrency=1, is_per_key=True)
    limit("key", f"{TASK}:big", concurrency=3)
    jobs = many(5, limit_key=f"{TASK}:big")
    assert len(claim(*jobs)) == 3


def test_a_task_that_is_paused_is_so_for_keys_that_have_run_before() -> None:
    rule = limit(concurrency=1, is_per_key=True)
    begun = claim(waiting(limit_key=f"{TASK}:a"))
    end(*begun)
    FlowRule.objects.filter(pk=rule.pk).update(paused_at=Now())
    later = waiting(limit_key=f"{TASK}:a")
    assert claim(later) == []
    assert Job.objects.get(pk=later.pk).held_by == HeldBy.PAUSED
    FlowRule.objects.filter(pk=rule.pk).update(paused_at=None)
    assert [one.id for one in from_lines()] == [later.pk]


def test_a_rate_gives_each_job_its_start_within_a_second_and_the_others_wait() -> None:
    limit(rate="4/s", burst=2)
    begun = claim(*many(12))
    starts = [one.begins_in for one in begun]
    assert len(begun) == 6
    assert all(start is not None for start in starts)
    assert [round(one * 4) for one in starts if one is not None] == [0, 0, 1, 2, 3, 4]
    noted = Job.objects.filter(state=State.RUNNING).order_by("started_at").values_list("started_at", flat=True)
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(list(noted)[1:])]  # type: ignore[operator]
    assert gaps == pytest.approx([0.25] * 4, abs=0.002)
    assert Job.objects.filter(held_by=HeldBy.LIMIT).count() == 6
    assert from_lines() == []


def test_a_job_waits_for_all_that_limits_it_and_holds_up_none_behind_it() -> None:
    queue = limit("queue", "default", concurrency=3)
    task = limit(concurrency=1)
    jobs = [*many(3), waiting(task=OTHER), waiting(task=OTHER), waiting(task=OTHER)]
    assert [one.id for one in claim(*jobs)] == [jobs[0].pk, jobs[3].pk, jobs[4].pk]
    waits = dict(Job.objects.filter(held_by=HeldBy.LIMIT).values_list("pk", "held_rule"))
    assert {waits[jobs[1].pk], waits[jobs[2].pk]} <= {task.pk, queue.pk}
    end_all()
    assert {one.id for one in from_lines()} == {jobs[1].pk, jobs[5].pk}


def test_a_limit_that_is_taken_away_lets_its_line_go_and_then_costs_nothing() -> None:
    rule = limit(concurrency=1)
    jobs = many(4)
    claim(*jobs)
    FlowRule.objects.filter(pk=rule.pk).update(concurrency=None)
    late = waiting()
    assert len(claim(late)) == 1
    assert len(from_lines()) == 3
    assert from_lines() == []
    rule.refresh_from_db()
    assert not rule.has_line


def test_a_line_of_another_queue_is_left_to_who_consumes_it() -> None:
    rule = limit(concurrency=1)
    elsewhere = [waiting(queue="other") for _ in range(2)]
    (first,) = claim(*elsewhere)
    end(first)
    assert from_lines() == []
    assert FlowRule.objects.get(pk=rule.pk).has_line


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_rule_that_somebody_has_locked_stops_only_its_own_jobs() -> None:
    rule, free = limit(concurrency=5), waiting(task=OTHER)
    limited = waiting()
    with elsewhere() as other:
        other.execute("SELECT 1 FROM jobs_flow_rule WHERE id = %s FOR UPDATE", [rule.pk])
        asked = {one.pk: uuid.uuid4().hex for one in (limited, free)}
        found = claims.claim_many(asked, lease_seconds=60, worker="w")
        decided = flow.claim({limited.pk: asked[limited.pk]}, WORKER)
    assert ([one.id for one in found.claimed], decided.claimed, decided.locked) == ([free.pk], [], {limited.pk})


def test_a_claim_whose_answer_was_lost_is_found_again_with_its_start() -> None:
    limit(rate="2/s")
    jobs = many(2)
    asked = {one.pk: uuid.uuid4().hex for one in jobs}
    flow.claim(asked, WORKER)
    again = claims.claim_many(asked, lease_seconds=60, worker="w", again=True)
    assert [one.id for one in again.claimed] == [one.pk for one in jobs]
    assert again.claimed[1].begins_in == pytest.approx(0.5, abs=0.4)


def test_a_job_that_stands_in_line_can_be_cancelled() -> None:
    limit(concurrency=1)
    jobs = many(2)
    (running,) = claim(*jobs)
    assert len(operate.cancel([jobs[1].pk], "not wanted")) == 1
    end(running)
    assert from_lines() == []


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_no_limit_is_exceeded_and_in_the_end_all_have_run(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 (the test's own chance)
    of_task, of_queue = chance.randint(1, 3), chance.randint(1, 4)
    limit(concurrency=of_task, is_per_key=seed % 2 == 0)
    limit("queue", "default", concurrency=of_queue)
    keys = (None, f"{TASK}:a", f"{TASK}:b")
    unread = [
        waiting(task=task, limit_key=chance.choice(keys) if task == TASK else None, priority=chance.randint(0, 9))
        for task in chance.choices([TASK, OTHER], k=14)
    ]
    running: list[Claimed] = []
    for _ in range(150):
        step = chance.choice(["read", "end", "look"])
        if step == "read" and unread:
            number = chance.randint(1, len(unread))
            running += claim(*unread[:number])
            del unread[:number]
        elif step == "end" and running:
            end(running.pop(chance.randrange(len(running))))
        else:
            running += from_lines(chance.randint(1, 5))
        now = Job.objects.filter(state=State.RUNNING)
        assert now.count() == len(running) <= of_queue
        assert all(now.filter(task=TASK, limit_key=key).count() <= of_task for key in keys)
        if not (unread or running or Job.objects.filter(state=State.QUEUED).exists()):
            return
    assert not Job.objects.filter(state=State.QUEUED).exists()
