"""What `until`, `within`, `replace` and `max_delay` add to `unique`: who holds a key, and what a further call does."""

import threading
import uuid
from datetime import timedelta
from typing import Any, cast

import pytest
from celery import current_app
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs import InvalidOption, job
from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind
from jobs.core.states import State
from jobs.core.unique_rule import UniqueRule
from jobs.ledger import claims, enqueue_once, maintain, operate, prune
from jobs.ledger.enqueue import Written
from jobs.ledger.prune import Past
from jobs.ledger.sql import RowLocked
from jobs.models import FlowRule, Job, UniqueCall
from jobs.tasks.calls import JobResult
from tests.jobs import verbs
from tests.jobs.delivery import deliver
from tests.jobs.locks import elsewhere
from tests.jobs.races import at_once
from tests.jobs.rows import ERROR, LEASE, claim_as, new_job
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

DONE = UniqueRule(by=True, until="done")
HOUR = UniqueRule(by=True, within=3600)
DEBOUNCED = UniqueRule(by=True, replace=("kwargs", "run_at"), max_delay=60)


def call(rule: UniqueRule = DONE, **changes: Any) -> Written:
    return enqueue_once.write(new_job(unique_key="key", unique_rule=rule, **changes))


def window_is_over() -> None:
    Job.objects.update(unique_expires_at=F("unique_expires_at") - timedelta(hours=2))


# --- Until it is done -----------------------------------------------------------------------------


def test_a_job_that_runs_or_waits_for_its_next_attempt_stands_for_further_calls_until_it_has_ended() -> None:
    first = call()
    row = Job.objects.get(pk=first.id)
    assert call() == Written(first.id, is_new=False)
    claim_as(row, LEASE)
    assert call() == Written(first.id, is_new=False)
    assert verbs.retry(first.id, LEASE, 0, ERROR)
    assert call() == Written(first.id, is_new=False)
    maintain.take_due(10)
    claim_as(row, LEASE)
    assert verbs.succeed(first.id, LEASE)
    assert row.calls == 4
    assert call().is_new


@pytest.mark.parametrize("end", ["succeeded", "dead", "cancelled", "cancelled while it waits", "cancelled on the way"])
def test_however_it_ends_the_key_is_free_for_the_next_call(end: str) -> None:
    first = call()
    row = Job.objects.get(pk=first.id)
    if end == "cancelled while it waits":
        assert len(operate.cancel([first.id], "no")) == 1
    else:
        claim_as(row, LEASE)
        match end:
            case "succeeded":
                assert verbs.succeed(first.id, LEASE)
            case "dead":
                assert verbs.die(first.id, LEASE, ERROR)
            case "cancelled":
                assert verbs.cancel(first.id, LEASE, ERROR)
            case "cancelled on the way":
                assert operate.ask_to_cancel([first.id]) == 1
                assert verbs.retry(first.id, LEASE, 5, ERROR)
    assert call().is_new


def test_a_job_that_its_worker_hands_back_keeps_its_key() -> None:
    first = call()
    claim_as(Job.objects.get(pk=first.id), LEASE)
    assert verbs.release(first.id, LEASE, ERROR)
    assert call() == Written(first.id, is_new=False)


@pytest.mark.postgres_only
def test_nobody_waits_for_who_relies_on_a_job_that_runs_and_its_end_is_recorded_meanwhile() -> None:
    first = call()
    claim_as(Job.objects.get(pk=first.id), LEASE)
    with transaction.atomic():
        assert call() == Written(first.id, is_new=False)
        ended: list[bool] = []
        at_once(lambda _: ended.append(verbs.succeed(first.id, LEASE)), 1)
        assert ended == [True]


# --- Within a time --------------------------------------------------------------------------------


def test_within_its_time_a_job_that_succeeded_stands_for_further_calls() -> None:
    first = call(HOUR)
    claim_as(Job.objects.get(pk=first.id), LEASE)
    assert call(HOUR) == Written(first.id, is_new=False)
    assert verbs.succeed(first.id, LEASE)
    assert call(HOUR) == Written(first.id, is_new=False)
    window_is_over()
    assert call(HOUR).is_new


@pytest.mark.parametrize("end", ["dead", "cancelled"])
def test_a_job_that_gave_up_has_not_done_what_a_further_call_asks_for(end: str) -> None:
    first = call(HOUR)
    claim_as(Job.objects.get(pk=first.id), LEASE)
    assert (verbs.die if end == "dead" else verbs.cancel)(first.id, LEASE, ERROR)
    assert call(HOUR).is_new


def test_after_its_time_a_job_is_unique_as_long_as_it_waits() -> None:
    first = call(HOUR)
    window_is_over()
    assert call(HOUR) == Written(first.id, is_new=False)
    claim_as(Job.objects.get(pk=first.id), LEASE)
    assert call(HOUR).is_new


def test_a_job_that_waits_for_its_next_attempt_stands_for_no_further_call_after_its_time() -> None:
    first = call(HOUR)
    claim_as(Job.objects.get(pk=first.id), LEASE)
    assert verbs.retry(first.id, LEASE, 3600, ERROR)
    assert call(HOUR) == Written(first.id, is_new=False)
    window_is_over()
    many = enqueue_once.write_many([new_job(unique_key="key", unique_rule=HOUR)])
    assert many != [first.id]
    assert call(HOUR) == Written(many[0], is_new=False)


def test_a_job_is_not_pruned_while_it_stands_for_further_calls() -> None:
    first = call(HOUR)
    call(HOUR)
    claim_as(Job.objects.get(pk=first.id), LEASE)
    assert verbs.succeed(first.id, LEASE)
    past = Past({State.SUCCEEDED}, -1)
    assert prune.prune_jobs(past, 10) == 0
    window_is_over()
    assert prune.prune_jobs(past, 10) == 1
    assert not UniqueCall.objects.exists()


def test_of_many_at_once_each_key_is_one_job_as_long_as_its_rule_says() -> None:
    first = call(HOUR)
    claim_as(Job.objects.get(pk=first.id), LEASE)
    assert verbs.succeed(first.id, LEASE)
    many = [new_job(unique_key=key, unique_rule=rule) for key, rule in (("key", HOUR), ("a", DONE), ("a", DONE))]
    ids = enqueue_once.write_many(many)
    assert ids == [first.id, many[1].id, many[1].id]
    row = Job.objects.get(pk=many[1].id)
    assert (row.unique_until, row.calls) == ("done", 2)
    assert Job.objects.get(pk=first.id).calls == 2


# --- Replacing ------------------------------------------------------------------------------------


def test_a_further_call_changes_arguments_and_time_of_the_job_that_waits() -> None:
    first = call(DEBOUNCED, delay=5, args="[1]", kwargs='{"a": 1}')
    before = Job.objects.get(pk=first.id)
    assert call(DEBOUNCED, delay=30, args="[]", kwargs='{"a": 2}') == Written(first.id, is_new=False)
    after = Job.objects.get(pk=first.id)
    assert (after.args, after.kwargs, after.state) == ([], {"a": 2}, State.SCHEDULED)
    assert timedelta(seconds=20) < after.run_at - before.run_at < timedelta(seconds=60)
    assert after.calls == 2


def test_no_number_of_calls_puts_a_job_off_for_longer_than_the_longest_delay() -> None:
    first = call(DEBOUNCED, delay=5)
    for _ in range(3):
        call(DEBOUNCED, delay=3000)
    row = Job.objects.get(pk=first.id)
    assert abs(row.run_at - row.created_at - timedelta(seconds=60)) < timedelta(milliseconds=5)


def test_what_is_due_stays_due_with_new_arguments() -> None:
    first = call(DEBOUNCED, kwargs='{"a": 1}')
    due = Job.objects.get(pk=first.id).run_at
    call(DEBOUNCED, delay=30, kwargs='{"a": 2}')
    row = Job.objects.get(pk=first.id)
    assert (row.state, row.run_at, row.kwargs) == (State.QUEUED, due, {"a": 2})


def test_of_a_job_that_has_begun_nothing_is_changed_and_the_call_is_a_new_job() -> None:
    first = call(DEBOUNCED, kwargs='{"a": 1}')
    claim_as(Job.objects.get(pk=first.id), LEASE)
    second = call(DEBOUNCED, kwargs='{"a": 2}')
    assert second.is_new
    assert list(Job.objects.order_by("created_at", "pk").values_list("kwargs", flat=True)) == [{"a": 1}, {"a": 2}]


def test_of_many_calls_at_once_the_last_ones_arguments_hold() -> None:
    many = [new_job(unique_key="key", unique_rule=DEBOUNCED, delay=9, kwargs=f'{{"a": {n}}}') for n in range(3)]
    assert enqueue_once.write_many(many) == [many[0].id] * 3
    row = Job.objects.get()
    assert (row.kwargs, row.calls) == ({"a": 2}, 3)


@pytest.mark.postgres_only
def test_who_cannot_change_the_job_since_another_transaction_has_changed_it_writes_his_own() -> None:
    first = call(DEBOUNCED, delay=9)
    with elsewhere() as other:
        other.execute("UPDATE jobs_job SET priority = 9 WHERE id = %s", [first.id])
        second = call(DEBOUNCED, delay=9)
    assert second.is_new
    assert second.id != first.id
    assert Job.objects.get(pk=second.id).unique_key is None


def test_a_rolled_back_call_changes_nothing_and_is_not_counted() -> None:
    first = call(DEBOUNCED, delay=9, kwargs='{"a": 1}')
    with transaction.atomic():
        call(DEBOUNCED, delay=9, kwargs='{"a": 2}')
        transaction.set_rollback(True)
    row = Job.objects.get(pk=first.id)
    assert (row.kwargs, row.calls) == ({"a": 1}, 1)


# --- Races ----------------------------------------------------------------------------------------


def succeed_when_free(job_id: uuid.UUID, lease: str) -> bool:
    """Record a success as a worker does: again, where another transaction holds the row.

    A caller who finds a job that waits, and locks its row just when it has been claimed, has it until he commits.
    """
    return wait_for(lambda: verbs.succeed(job_id, lease), passing_over=(RowLocked,))


@pytest.mark.parametrize(
    "job_rule", [UniqueRule(by=True), DONE, HOUR, DEBOUNCED], ids=["begun", "done", "hour", "debounced"]
)
def test_whoever_calls_claims_and_ends_at_once_a_key_is_held_by_one_job_and_no_call_is_lost(
    job_rule: UniqueRule,
) -> None:
    threads, each = 4, 12
    found: list[Written] = []
    overlaps: list[int] = []
    lock = threading.Lock()

    def act(number: int) -> None:
        for turn in range(each):
            with transaction.atomic():
                written = call(job_rule, delay=0 if turn % 2 else 0.001)
            maintain.take_due(10)
            lease = f"{number}-{turn}".rjust(32, "0")
            with lock:
                found.append(written)
                overlaps.append(Job.objects.filter(unique_key="key").count())
            if claims.claim_many({written.id: lease}, lease_seconds=60, worker="w").claimed:
                assert succeed_when_free(written.id, lease)

    at_once(act, threads)
    assert max(overlaps) == 1
    new = [written.id for written in found if written.is_new]
    assert len(new) == len(set(new)) == Job.objects.count()
    assert sum(row.calls for row in Job.objects.all()) == threads * each


class Holder(RuleBasedStateMachine):
    """One key, and what happens to whoever holds it: the ledger is compared with the rule in words."""

    given_rules = st.sampled_from([UniqueRule(by=True), DONE, HOUR, UniqueRule(by=True, until="done", within=60)])

    @initialize()
    def begin(self) -> None:
        UniqueCall.objects.all().delete()
        Job.objects.all().delete()
        self.holder: Job | None = None
        self.rule = UniqueRule()
        self.has_begun = self.is_over = False
        self.lease = 0

    @rule(given=given_rules)
    def call(self, given: UniqueRule) -> None:
        written = call(given)
        assert written.is_new == (self.holder is None)
        if self.holder is None:
            self.holder, self.rule = Job.objects.get(pk=written.id), given
            self.has_begun, self.is_over = False, given.within is None
        assert written.id == self.holder.pk

    def state(self) -> str:
        if self.holder is None:
            return ""
        self.holder.refresh_from_db()
        return self.holder.state

    @precondition(lambda self: self.state() == State.QUEUED)
    @rule()
    def claim(self) -> None:
        assert self.holder
        self.lease += 1
        claim_as(self.holder, f"{self.lease:032}")
        self.has_begun = True
        self.let_go(keeps=self.rule.until == "done" or not self.is_over)

    @precondition(lambda self: self.state() == State.RUNNING)
    @rule(how=st.sampled_from(["succeed", "die", "cancel", "retry", "release"]))
    def end(self, how: str) -> None:
        assert self.holder
        job_id, lease = self.holder.pk, f"{self.lease:032}"
        match how:
            case "succeed":
                assert verbs.succeed(job_id, lease)
                self.let_go(keeps=not self.is_over)
            case "die":
                assert verbs.die(job_id, lease, ERROR)
                self.let_go(keeps=False)
            case "cancel":
                assert verbs.cancel(job_id, lease, ERROR)
                self.let_go(keeps=False)
            case "retry":
                assert verbs.retry(job_id, lease, 3600, ERROR)
            case "release":
                assert verbs.release(job_id, lease, ERROR)

    @precondition(lambda self: self.holder is not None and self.rule.within)
    @rule()
    def pass_time(self) -> None:
        state = self.state()
        window_is_over()
        self.is_over = True
        # What waits holds its key whatever the time.
        holds = state in {State.QUEUED, State.SCHEDULED} or (
            self.rule.until == "done" and state in {State.RUNNING, State.RETRYING}
        )
        self.let_go(keeps=holds)

    def let_go(self, *, keeps: bool) -> None:
        if not keeps:
            self.holder = None

    @invariant()
    def one_row_at_most_has_the_key(self) -> None:
        assert Job.objects.filter(unique_key="key").count() <= 1


@pytest.mark.timeout(300)
def test_a_key_is_held_exactly_as_long_as_its_rule_says() -> None:
    run_state_machine_as_test(
        Holder,
        settings=settings(
            max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


# --- Calls ----------------------------------------------------------------------------------------


def test_a_caller_learns_whether_the_job_is_new() -> None:
    options: dict[str, Any] = {"unique": ("effect",), "until": "done"}
    first = tasks.note.apply_async(("x",), **options)
    again = tasks.note.apply_async((), {"effect": "x"}, **options)
    other = tasks.note.apply_async(("y",), **options)
    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert again.id == first.id
    assert first.job.unique_key == 'tests.tasks_app.tasks.note:{"effect": "x"}'
    assert tasks.note.delay("x").is_new
    given = tasks.note.apply_async(("x",), task_id=other.id)
    assert (given.id, given.is_new) == (other.id, False)
    assert JobResult(first.id).is_new is None
    results = tasks.note.delay_many([("z",), ("z",)], unique=True)
    assert [result.is_new for result in results] == [True, False]


def test_a_job_that_was_debounced_runs_once_with_the_last_arguments() -> None:
    options: dict[str, Any] = {"unique": "order", "replace": ("kwargs", "run_at"), "max_delay": timedelta(minutes=1)}
    first = tasks.double.apply_async((1,), countdown=30, **options)
    again = tasks.double.apply_async(kwargs={"number": 21}, countdown=0, **options)
    assert again.id == first.id
    (due,) = maintain.take_due(10)
    assert (due.args, due.kwargs) == ("[]", '{"number": 21}')
    deliver(first.job)
    assert (first.job.state, first.job.result) == (State.SUCCEEDED, 42)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"until": "done"}, "until='done' says nothing without unique=: give what"),
        ({"within": 5}, "within=5 says nothing without unique="),
        ({"unique": True, "until": "ended"}, "until='ended' is not valid: it must be 'begun' or 'done'"),
        ({"unique": True, "within": 0}, "within=0 is not valid: it must be seconds above zero"),
        ({"unique": True, "within": True}, "within=True is not valid"),
        ({"unique": True, "within": "1h"}, "within='1h' is not valid"),
        ({"unique": True, "replace": ("queue",)}, r"replace=\('queue',\) is not valid: .*'kwargs' and 'run_at'"),
        ({"unique": True, "replace": "kwargs"}, "replace='kwargs' is not valid: it must be a tuple"),
        ({"unique": True, "replace": ("kwargs",), "until": "done"}, "replace=.* and until='done' exclude each other"),
        ({"unique": True, "replace": ("kwargs",), "within": 9}, "replace=.* and within=9.* exclude each other"),
        ({"unique": True, "max_delay": 9}, r"max_delay=9 needs replace=\('run_at',\)"),
        ({"unique": True, "replace": ("kwargs",), "max_delay": 9}, "max_delay=9 needs replace="),
        ({"unique": True, "replace": ("run_at",), "max_delay": -1}, "max_delay=-1 is not valid"),
        ({"unique": ()}, r"unique=\(\) is not valid"),
        ({"unique": 7}, "unique=7 is not valid: it must be true, false, a template or a tuple"),
        ({"unique": ("user",)}, r"unique=\('user',\) names 'user', which is no argument. There are: effect"),
    ],
)
@pytest.mark.parametrize("at", ["declaration", "call"])
def test_what_cannot_be_said_of_uniqueness_is_refused(options: dict[str, Any], words: str, at: str) -> None:
    before = set(current_app.tasks)
    refused = _called if at == "call" else _declared
    with pytest.raises(InvalidOption, match=words):
        refused(options)
    assert set(current_app.tasks) == before
    assert not Job.objects.exists()


def _called(options: dict[str, Any]) -> None:
    cast("Any", tasks.note).apply_async(("x",), **options)


def _declared(options: dict[str, Any]) -> None:
    def unheard_of(effect: str) -> None: ...

    cast("Any", job)(**options)(unheard_of)


@pytest.mark.parametrize("template", ["{user}", "{effect.name}", "{}", "{effect[0}"])
def test_a_template_that_the_arguments_cannot_fill_is_refused_with_its_name(template: str) -> None:
    def unheard_of(effect: str) -> None: ...

    with pytest.raises(InvalidOption, match="unique="):
        job(name=f"tests.unheard_of.{hash(template)}", unique=template)(unheard_of).delay("x")
    assert not Job.objects.exists()


def test_false_at_a_call_lifts_the_whole_rule_of_the_task() -> None:
    def unheard_of(effect: str) -> None: ...

    task = job(name="tests.tasks_app.lifted", unique=True, replace=("run_at",), max_delay=5)(unheard_of)
    try:
        assert [task.apply_async(("x",), unique=False).is_new for _ in range(2)] == [True, True]
        assert [task.apply_async(("x",)).is_new for _ in range(2)] == [True, False]
    finally:
        current_app.tasks.pop(task.name, None)


# --- What a replaced job waits for ----------------------------------------------------------------


def test_a_job_with_other_arguments_is_another_keys_and_another_tenants() -> None:
    options: dict[str, Any] = {"unique": "k", "replace": ("kwargs",)}
    first = tasks.owned.apply_async(("ann",), **options).job
    assert (first.limit_key, first.tenant) == (f"{tasks.owned.name}:ann", "ann")
    assert tasks.owned.apply_async(("bob",), **options).job.pk == first.pk
    first.refresh_from_db()
    assert (first.limit_key, first.tenant, first.args) == (f"{tasks.owned.name}:bob", "bob", ["bob"])


@pytest.mark.parametrize("kept_by", [HeldBy.LIMIT, HeldBy.PAUSED])
def test_it_waits_no_more_in_the_line_of_what_it_was(kept_by: HeldBy) -> None:
    options: dict[str, Any] = {"unique": "k", "replace": ("kwargs",)}
    job_id = tasks.owned.apply_async(("ann",), **options).job.pk
    rule = FlowRule.objects.create(kind=Kind.KEY, name=f"{tasks.owned.name}:ann", concurrency=1, has_line=True)
    Job.objects.update(held_by=kept_by, held_rule=rule.pk, held_since=timezone.now())
    tasks.owned.apply_async(("ann",), **options)
    assert Job.objects.get(pk=job_id).held_rule == rule.pk
    tasks.owned.apply_async(("bob",), **options)
    row = Job.objects.get(pk=job_id)
    assert (row.held_by, row.held_rule, row.held_since, row.dispatched_at) == (None, None, None, None)


def test_it_needs_the_dependency_that_its_task_names_now() -> None:
    rule = UniqueRule(by=True, replace=("kwargs",))
    first = call(rule, breaker="smtp")
    Job.objects.update(held_by=HeldBy.BREAKER, held_since=timezone.now())
    assert call(rule, breaker="ses") == Written(first.id, is_new=False)
    row = Job.objects.get(pk=first.id)
    assert (row.breaker, row.held_by) == ("ses", None)


def test_it_waits_on_for_newer_code_and_a_call_that_only_moves_it_leaves_it_whose_it_was() -> None:
    rule = UniqueRule(by=True, replace=("kwargs",))
    first = call(rule, tenant="ann")
    Job.objects.update(held_by=HeldBy.UNKNOWN_TASK, held_since=timezone.now())
    call(rule, tenant="bob")
    row = Job.objects.get(pk=first.id)
    assert (row.tenant, row.held_by) == ("bob", HeldBy.UNKNOWN_TASK)
    call(UniqueRule(by=True, replace=("run_at",)), tenant="eve", delay=60.0)
    assert Job.objects.get(pk=first.id).tenant == "bob"
