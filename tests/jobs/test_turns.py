"""Tenants of a queue get turns: the same share for each that waits, whatever each has waiting."""

import uuid
from collections import Counter
from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given, strategies as st
from uuid_utils.compat import uuid7

from jobs.core.held_by import HeldBy
from jobs.core.limits import Kind
from jobs.core.states import State
from jobs.core.turns import Turns
from jobs.flow import claim as flow
from jobs.flow.turns import in_turn
from jobs.ledger import claims, enqueue_once, rules, turns
from jobs.ledger.claims import Claimed
from jobs.models import FlowRule, Job, Turn
from jobs.operations import flow as operations
from jobs.reports.flow import place_of
from tests.jobs.claiming import end, from_lines
from tests.jobs.locks import elsewhere
from tests.jobs.rows import new_job, written
from tests.tasks_app import tasks

TASK = tasks.noop.name
WORKER = flow.Worker("worker@test", ["default"], 60.0)


def waiting(tenant: str, number: int, priority: int = 5) -> list[Job]:
    return [written(task=TASK, tenant=tenant, id=uuid7(), priority=priority) for _ in range(number)]


def claim(jobs: Sequence[Job]) -> list[Claimed]:
    asked = {job.pk: uuid.uuid4().hex for job in jobs}
    found = claims.claim_many(asked, lease_seconds=60, worker="worker@test")
    decided = flow.claim({job_id: asked[job_id] for job_id in found.ruled}, WORKER)
    return [*found.claimed, *decided.claimed]


def tenants(taken: Sequence[Claimed]) -> Counter[str | None]:
    return Counter(Job.objects.get(pk=one.id).tenant for one in taken)


# --- The rule -------------------------------------------------------------------------------------


@given(
    queues=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 30), min_size=1),
    places=st.lists(st.integers(1, 9), max_size=30),
)
def test_of_tenants_that_wait_none_gets_two_more_than_another_and_no_place_goes_unused(
    queues: dict[str, int], places: list[int]
) -> None:
    shared, left, got = Turns(0.0), dict(queues), dict.fromkeys(queues, 0)
    for number in places:
        shares = shared.share(left, number)
        assert sum(shares.values()) == min(number, sum(left.values()))
        for tenant, share in shares.items():
            shared.count(tenant, share)
            left[tenant] -= share
            got[tenant] += share
        shared.forward([tenant for tenant, most in left.items() if most] or list(shares))
        still = [got[tenant] for tenant, most in left.items() if most]
        assert max(still, default=0) - min(still, default=0) <= 1


def test_who_was_away_gets_its_share_from_now_on_and_nothing_for_the_past() -> None:
    shared = Turns(0.0)
    for _ in range(50):
        shared.count("busy", 1)
        shared.forward(["busy"])
    assert shared.share({"busy": 100, "late": 100}, 10) == {"busy": 5, "late": 5}


def test_of_those_whose_turn_it_is_who_has_had_none_goes_first() -> None:
    assert Turns(1.0, served={"a": 1.0, "b": 0.5}).share({"a": 5, "b": 5, "passed by": 5}, 1) == {"passed by": 1}


@given(
    weights=st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 100), min_size=2),
    places=st.lists(st.integers(1, 9), min_size=1, max_size=60),
)
def test_tenants_that_all_wait_get_shares_by_their_weights(weights: dict[str, float], places: list[int]) -> None:
    shared, waiting = Turns(0.0, weights=weights), dict.fromkeys(weights, 1000)
    got = dict.fromkeys(weights, 0)
    for number in places:
        shares = shared.share(waiting, number)
        assert sum(shares.values()) == number
        for tenant, share in shares.items():
            shared.count(tenant, share)
            got[tenant] += share
        shared.forward(weights)
        # The bound of start-time fair queueing: what two have had by their weights differs by a job of each at most.
        for (one, heavy), (other, light) in permutations(weights.items(), 2):
            assert got[one] / heavy - got[other] / light <= (1 / heavy + 1 / light) * (1 + 1e-9)


@given(
    weights=st.dictionaries(st.sampled_from("abc"), st.floats(0.01, 100)),
    queues=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 20), min_size=1),
    number=st.integers(1, 200),
)
def test_no_place_goes_unused_whatever_tenants_weigh(
    weights: dict[str, float], queues: dict[str, int], number: int
) -> None:
    shares = Turns(0.0, weights=weights).share(queues, number)
    assert sum(shares.values()) == min(number, sum(queues.values()))
    assert all(share <= queues[tenant] for tenant, share in shares.items())


# --- The claim ------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_ten_jobs_of_one_tenant_are_not_behind_the_hundred_of_another() -> None:
    flood, few = waiting("big", 40), waiting("small", 5)
    # Only messages of the first ones have been read.
    taken = claim(flood[:10])
    assert tenants(taken) == {"big": 5, "small": 5}
    assert {one.id for one in taken} == {job.pk for job in (*flood[:5], *few)}
    assert tenants(claim(flood[10:14])) == {"big": 4}
    # Those that were passed by wait as before.
    assert Job.objects.filter(state=State.QUEUED, held_by=None).count() == 31


@pytest.mark.django_db
def test_what_is_claimed_together_begins_in_turns_too() -> None:
    flood, few = waiting("big", 6), waiting("small", 3)
    taken = [one.id for one in claim(flood[:5])]
    assert taken == [job.pk for job in (flood[0], few[0], flood[1], few[1], flood[2])]


@pytest.mark.django_db
def test_the_most_urgent_go_first_whosever_they_are() -> None:
    usual, urgent = waiting("a", 4), waiting("b", 3, priority=9)
    assert {one.id for one in claim(usual[:3])} == {job.pk for job in urgent}
    assert [one.id for one in claim(usual[:1])] == [usual[0].pk]


@pytest.mark.django_db
def test_each_of_many_tenants_gets_its_turn_over_many_claims() -> None:
    jobs = [job for tenant in "abc" for job in waiting(tenant, 9)]
    for _ in range(9):
        assert tenants(claim(list(Job.objects.filter(state=State.QUEUED)[:3]))) == {"a": 1, "b": 1, "c": 1}
    assert Job.objects.filter(state=State.RUNNING).count() == len(jobs)


@pytest.mark.django_db
def test_a_tenant_has_its_turn_however_many_others_always_wait() -> None:
    names = [f"{number:04}" for number in range(turns.MOST + 100)]
    enqueue_once.write_many([new_job(task=TASK, tenant=name, id=uuid7()) for name in names])
    had: set[str | None] = set()
    # None of them is claimed: all wait all the time.
    for _ in range(60):
        had.update(job.tenant for job in in_turn("default", 50) or [])
        if had.issuperset(names[turns.MOST :]):
            break
    assert had.issuperset(names[turns.MOST :])


@pytest.mark.django_db
def test_a_tenant_has_turns_by_its_weight_as_soon_as_it_is_said() -> None:
    jobs = [*waiting("gold", 40), *waiting("plain", 40)]
    assert tenants(claim(jobs[:8])) == {"gold": 4, "plain": 4}
    operations.set_weight("gold", 3, actor="ann")
    assert tenants(claim(jobs[8:16])) == {"gold": 6, "plain": 2}
    assert tenants(claim(jobs[16:24])) == {"gold": 6, "plain": 2}
    operations.set_weight("gold", 1, actor="ann")
    assert tenants(claim(jobs[24:32])) == {"gold": 4, "plain": 4}
    assert FlowRule.objects.get().weight is None


@pytest.mark.django_db
def test_a_tenant_that_weighed_little_has_its_turn_at_once_when_it_weighs_as_others_again() -> None:
    operations.set_weight("slow", 0.01, actor="ann")
    jobs = [*waiting("slow", 20), *waiting("plain", 30)]
    assert tenants(claim(jobs[20:30])) == {"slow": 1, "plain": 9}
    operations.set_weight("slow", 1, actor="ann")
    assert tenants(claim(jobs[30:40])) == {"slow": 5, "plain": 5}


@pytest.mark.django_db
def test_a_tenant_that_weighs_little_has_the_queue_where_nobody_else_waits() -> None:
    operations.set_weight("slow", 0.01, actor="ann")
    assert tenants(claim(waiting("slow", 10))) == {"slow": 10}


@pytest.mark.django_db
def test_the_job_of_a_paused_tenant_waits_and_costs_the_others_no_turn() -> None:
    operations.pause(Kind.TENANT, "late", actor="ann")
    jobs = [*waiting("late", 2), *waiting("good", 2)]
    assert tenants(claim(jobs)) == {"good": 2}
    assert Job.objects.filter(held_by=HeldBy.PAUSED, tenant="late").count() == 2


@pytest.mark.django_db
def test_a_limit_holds_for_the_jobs_of_tenants() -> None:
    FlowRule.objects.create(kind=Kind.TASK, name=TASK, concurrency=3)
    assert len(claim([*waiting("a", 4), *waiting("b", 4)])) == 3
    assert Job.objects.filter(state=State.RUNNING).count() == 3
    assert Job.objects.filter(state=State.QUEUED, held_by=HeldBy.LIMIT).count() == 5


# --- In line --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_in_the_line_of_a_limit_ten_jobs_of_one_tenant_are_not_behind_the_flood_of_another() -> None:
    FlowRule.objects.create(kind=Kind.TASK, name=TASK, concurrency=1)
    (first,) = claim(waiting("big", 30))
    flood = list(Job.objects.filter(state=State.QUEUED).order_by("run_at", "id"))
    few = waiting("small", 5)
    claim(few)
    begun: list[Claimed] = []
    for _ in range(12):
        end(*begun[-1:] or [first])
        begun += from_lines(3)
    # In turns, and each tenant's in its own order.
    assert [one.id for one in begun if tenants([one])["small"]] == [job.pk for job in few]
    assert [one.id for one in begun if tenants([one])["big"]] == [job.pk for job in flood[:7]]
    assert set(tenants(begun[:10]).values()) == {5}


@pytest.mark.django_db
def test_who_joins_a_line_gets_its_share_from_then_on_and_a_weight_holds_there_too() -> None:
    operations.set_limit(Kind.TASK, TASK, rate="4/s", concurrency=None, actor="ann")
    operations.set_weight("gold", 3, actor="ann")
    claim([*waiting("a", 20), *waiting("b", 20)])
    for _ in range(3):
        FlowRule.objects.filter(kind=Kind.TASK).update(tat=0)
        from_lines(4)
    operations.pause(Kind.TASK, TASK, actor="ann")
    claim(waiting("gold", 20))
    operations.resume(Kind.TASK, TASK, actor="ann")
    FlowRule.objects.filter(kind=Kind.TASK).update(tat=0)
    assert tenants(from_lines(5)) == {"gold": 3, "a": 1, "b": 1}


@pytest.mark.django_db
def test_who_stands_in_line_is_told_when_its_turn_comes() -> None:
    FlowRule.objects.create(kind=Kind.TASK, name=TASK, concurrency=1)
    (first,) = claim(waiting("a", 1))
    jobs = [*waiting("a", 4), *waiting("b", 2), *waiting("c", 1), *waiting("b", 2, priority=9)]
    assert claim(jobs) == []
    told = {place.number: job.pk for job in jobs if (place := place_of(Job.objects.get(pk=job.pk)))}
    end(first)
    begun: list[Claimed] = []
    while one := from_lines(1):
        begun += one
        end(*one)
    assert [one.id for one in begun] == [told[number] for number in range(1, len(jobs) + 1)]
    assert [Job.objects.get(pk=one.id).tenant for one in begun] == [*"bb", *"abcabaa"]


@pytest.mark.django_db
def test_a_job_of_nobody_begins_when_no_tenants_job_has_waited_longer() -> None:
    FlowRule.objects.create(kind=Kind.TASK, name=TASK, concurrency=1)
    (first,) = claim(waiting("a", 1))
    early, alone = waiting("a", 2), written(task=TASK, id=uuid7())
    assert claim([*early, alone]) == []
    late = waiting("b", 2)
    assert claim(late) == []
    place = place_of(Job.objects.get(pk=alone.pk))
    assert place is not None
    assert place.number == 3
    end(first)
    begun: list[Claimed] = []
    while one := from_lines(1):
        begun += one
        end(*one)
    assert [one.id for one in begun] == [job.pk for job in (early[0], late[0], early[1], alone, late[1])]


@given(
    waits=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 6), min_size=1),
    served=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 4)),
    weights=st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.5, 1.0, 2.0])),
    data=st.data(),
)
def test_how_many_turns_come_before_a_job_is_known(
    waits: dict[str, int], served: dict[str, int], weights: dict[str, float], data: st.DataObject
) -> None:
    turns = Turns(1.0, {name: float(had) for name, had in served.items()}, weights)
    jobs = [(name, number) for name, most in waits.items() for number in range(most)]
    tenant, own = data.draw(st.sampled_from(jobs))
    assert turns.in_order(jobs, lambda job: job[0])[turns.before(tenant, own, waits)] == (tenant, own)


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_while_another_worker_shares_out_turns_the_jobs_are_asked_for_again() -> None:
    jobs = waiting("a", 2)
    claim(jobs[:1])
    with elsewhere() as other:
        other.execute("SELECT 1 FROM jobs_turn WHERE tenant = '' FOR UPDATE")
        lease = uuid.uuid4().hex
        decided = flow.claim({jobs[1].pk: lease}, WORKER)
    assert (decided.claimed, decided.locked) == ([], {jobs[1].pk})


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_a_row_that_somebody_holds_costs_its_tenant_no_other_turn_and_no_lease_is_used_twice() -> None:
    first, second = waiting("a", 1) + waiting("b", 1)
    with elsewhere() as other:
        other.execute("SELECT 1 FROM jobs_job WHERE id = %s FOR UPDATE", [first.pk])
        leases = {first.pk: "1" * 32, second.pk: "2" * 32}
        decided = flow.claim(leases, WORKER)
    assert [(one.id, one.lease_id) for one in decided.claimed] == [(second.pk, "2" * 32)]
    assert decided.locked == {first.pk}


@pytest.mark.django_db
def test_rows_that_say_nothing_are_pruned() -> None:
    claim(waiting("a", 3))
    claim([*waiting("b", 1), *waiting("c", 1)])
    rule = FlowRule.objects.create(kind=Kind.KEY, name=f"{TASK}:idle")
    FlowRule.objects.create(kind=Kind.KEY, name=f"{TASK}:limited", concurrency=2)
    FlowRule.objects.create(kind=Kind.KEY, name=f"{TASK}:waited-for", has_line=True)
    FlowRule.objects.create(kind=Kind.KEY, name=f"{TASK}:busy", tat=2**40)
    assert rules.prune_keys(10) == 1
    assert not FlowRule.objects.filter(pk=rule.pk).exists()
    ahead = turns.prune(10)
    assert turns.prune(10) == 0
    assert Turn.objects.exclude(tenant="").count() + ahead == 3
