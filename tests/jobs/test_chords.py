"""Groups and chords as rows: what follows is enqueued with the end of the last member, once, with all results."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError
from celery.result import AsyncResult, GroupResult

from jobs import EnqueueError, InvalidArguments, InvalidOption, Permanent, new_group
from jobs.core.states import State
from jobs.ledger import prune
from jobs.ledger.prune import Past
from jobs.ledger.put_back import put_back
from jobs.models import Job, JobGroup
from jobs.operations import actions
from jobs.operations.filters import JobFilter
from tests.jobs.delivery import InThisProcess, deliver
from tests.jobs.wire import messages
from tests.servers import Valkey
from tests.tasks_app import canvas, tasks
from tests.tasks_app.canvas import (
    add,
    adding,
    adding_a_chain,
    adding_a_chord,
    listed,
    number,
    replaced,
    replaced_by_many,
    tell,
    told,
    told_in_place,
    total,
)
from tests.tasks_app.effects import VARIABLE, Effects

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey: Valkey) -> Iterator[Effects]:
    """What the tasks did. A job that gives up needs the broker."""
    effects = Effects(tmp_path / "effects")
    monkeypatch.setenv(VARIABLE, str(effects.path))
    yield effects
    canvas.failing.clear()


def run_all(newest_first: bool = False) -> None:
    """Deliver queued jobs until none is left."""
    order = "-pk" if newest_first else "pk"
    for _ in range(200):
        job = Job.objects.filter(state=State.QUEUED).order_by(order).first()
        if job is None:
            return
        deliver(job)
    raise AssertionError("It does not end.")


def counts() -> list[tuple[int, int, int, int]]:
    return list(JobGroup.objects.order_by("created_at", "pk").values_list("size", "succeeded", "dead", "cancelled"))


def retry(**selection: Any) -> None:
    actions.retry_jobs(JobFilter(**selection), actor="test")


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_body_of_a_chord_gets_all_results_in_order(effects: Effects, newest_first: bool) -> None:
    chord([number.s(value) for value in (5, 1, 4, 2, 3)])(listed.s())
    run_all(newest_first)
    assert effects.lines() == ["listed [5, 1, 4, 2, 3]"]
    assert counts() == [(5, 5, 0, 0)]


def test_members_recorded_together_are_counted_by_one_statement(
    effects: Effects, django_assert_num_queries: Any
) -> None:
    chord([number.s(value) for value in range(50)])(total.s())
    worker = InThisProcess()
    taken = worker.run_calls([[job] for job in worker.claim(*Job.objects.values_list("pk", flat=True))])
    ends = worker.ends(taken)
    with django_assert_num_queries(12, exact=False) as queries:
        worker.write(ends)
    assert sum("UPDATE jobs_group SET succeeded" in query["sql"].replace('"', "") for query in queries) <= 1
    run_all()
    assert effects.lines() == [f"total {sum(range(50))}"]


def test_a_chord_is_written_whole_or_not_at_all() -> None:
    with pytest.raises(Exception, match="too many positional"):
        chord([number.s(1), number.s(1, 2, 3)])(total.s())  # type: ignore[call-overload]
    assert (Job.objects.count(), JobGroup.objects.count()) == (0, 0)


def test_a_chord_with_an_empty_header_runs_its_body_at_once(effects: Effects) -> None:
    chord([])(listed.s())
    run_all()
    assert effects.lines() == ["listed []"]


@pytest.mark.parametrize(
    "header", [[chain()], [chain(), group([chain()])], [chain(), number.s(1), chain(), number.s(2)]]
)
def test_empty_chains_in_a_header_are_nothing(effects: Effects, header: list[Any]) -> None:
    chord(header)(listed.s())
    run_all()
    assert effects.lines() == [f"listed {[1, 2] if len(header) > 2 else []}"]


def test_an_empty_group_is_nothing() -> None:
    assert group([]).apply_async().get(timeout=5) == []
    assert not Job.objects.exists()


def test_a_member_that_is_dead_keeps_the_body_from_running_until_it_is_replayed(effects: Effects) -> None:
    canvas.failing.add(2)
    result = chord([number.s(1), number.s(2), number.s(3)])(total.s().on_error(told.s()))
    run_all()
    assert effects.lines() == [f"errback {result.id}"]
    assert counts() == [(3, 2, 1, 0)]
    assert AsyncResult(result.id).state == "FAILURE"
    with pytest.raises(ChordError, match=r"Dependency .* raised Permanent: number 2 fails"):
        AsyncResult(result.id).get(timeout=5)
    with pytest.raises(Permanent, match="number 2 fails"):
        result.get(timeout=5)
    canvas.failing.clear()
    retry(states=(State.DEAD,))
    assert counts() == [(3, 2, 0, 0)]
    run_all()
    assert effects.lines()[1:] == ["total 6"]
    assert AsyncResult(result.id).get(timeout=5) == 6


def test_a_member_that_dies_once_more_calls_the_error_links_once_more(effects: Effects) -> None:
    canvas.failing.add(2)
    chord([number.s(1), number.s(2)])(total.s().on_error(told.s()))
    run_all()
    retry(states=(State.DEAD,))
    run_all()
    assert len(effects) == 2


def test_error_links_that_take_more_than_an_id_are_called_with_the_chords_error(effects: Effects) -> None:
    canvas.failing.add(2)
    result = chord([number.s(1), number.s(2)])(total.s().on_error(told_in_place.s()))
    run_all()
    failed = Job.objects.get(state=State.DEAD)
    assert effects.lines() == [f"in place {result.id} Dependency {failed.pk} raised Permanent: number 2 fails"]


def test_an_error_link_that_is_given_alone_and_not_in_a_list_is_called(effects: Effects) -> None:
    canvas.failing.add(2)
    for body in (total.s(), group(total.s(), total.s())):
        body.options["link_error"] = dict(tell.si("alone", "errback"))
        chord([number.s(1), number.s(2)])(body)
        run_all()
    assert effects.lines() == ["errback", "errback"]


def test_an_error_link_of_nested_chords_is_called_once(effects: Effects) -> None:
    canvas.failing.add(2)
    of_both, of_inner = tell.si("of both", "errback"), tell.si("of the inner", "errback of the inner")
    inner = chord([number.s(1), number.s(2)], total.s())
    outer = chord([number.s(3), inner], listed.s())
    # As `outer.link_error()` does, which warns that it will do otherwise.
    for part, link in ((outer.tasks[1].body, of_both), (outer.tasks[1].body, of_inner), (outer.body, of_both)):
        part.link_error(link)
    outer.apply_async()
    run_all()
    assert sorted(effects.lines()) == ["errback", "errback of the inner"]


def test_a_replayed_member_counts_once(effects: Effects) -> None:
    chord([number.s(1), number.s(2)])(total.s())
    first, second = Job.objects.order_by("group_index")
    deliver(first)
    for _ in range(3):
        retry(ids=(first.pk,))
        deliver(Job.objects.get(pk=first.pk))
    assert counts() == [(2, 1, 0, 0)]
    deliver(second)
    run_all()
    retry(ids=(first.pk,))
    run_all()
    assert (effects.lines(), counts()) == (["total 3"], [(2, 2, 0, 0)])


def test_a_cancelled_member_keeps_the_body_from_running(effects: Effects) -> None:
    chord([number.s(1), number.s(2)])(total.s().on_error(told.s()))
    first, second = Job.objects.order_by("group_index")
    deliver(first)
    actions.cancel_jobs(JobFilter(ids=(second.pk,)), actor="test")
    assert counts() == [(2, 1, 0, 1)]
    run_all()
    assert [line.split()[0] for line in effects.lines()] == ["errback"]
    retry(ids=(second.pk,))
    run_all()
    assert effects.lines()[1:] == ["total 3"]


def test_a_chain_is_a_member_by_its_last_step(effects: Effects) -> None:
    chord([chain(number.s(1), add.s(10)), number.s(2)])(listed.s())
    run_all()
    assert (effects.lines(), counts()) == (["listed [11, 2]"], [(2, 2, 0, 0)])


def test_a_chain_that_breaks_off_is_a_dead_member_and_completes_when_replayed(effects: Effects) -> None:
    canvas.failing.add(1)
    chord([chain(number.s(1), add.s(10)), number.s(2)])(listed.s())
    run_all()
    assert counts() == [(2, 1, 1, 0)]
    canvas.failing.clear()
    retry(states=(State.DEAD,))
    run_all()
    assert (effects.lines(), counts()) == (["listed [11, 2]"], [(2, 2, 0, 0)])


def test_chords_in_chords(effects: Effects) -> None:
    inner = chord([number.s(1), number.s(2)], total.s())
    chord([inner, number.s(10), chord([number.s(3)], total.s())])(listed.s("outer"))
    run_all()
    assert effects.lines()[-1] == "listed [3, 10, 3]" or effects.lines()[-1].startswith("outer")


def test_a_chord_in_a_chord_that_fails_fails_the_outer_one_until_it_is_replayed(effects: Effects) -> None:
    canvas.failing.add(1)
    inner = chord([number.s(1), number.s(2)], total.s())
    chord([inner, number.s(10)])(listed.s().on_error(told.s()))
    run_all()
    assert sorted(counts()) == [(2, 1, 1, 0), (2, 1, 1, 0)]
    assert [line.split()[0] for line in effects.lines()] == ["errback"]
    canvas.failing.clear()
    retry(states=(State.DEAD,))
    run_all()
    assert effects.lines()[-1] == "listed [3, 10]"
    assert counts() == [(2, 2, 0, 0)] * 2


def test_chains_of_chords(effects: Effects) -> None:
    chain(
        number.s(1),
        group(add.s(1), add.s(2)),
        total.s(),
        group(add.s(10), add.s(20)),
        total.s(),
    ).apply_async()
    run_all()
    assert effects.lines() == ["total 5", "total 40"]


def test_groups_in_groups(effects: Effects) -> None:
    chord(group(group(number.s(1), number.s(2)), number.s(3), group(number.s(4))))(total.s())
    run_all()
    assert effects.lines() == ["total 10"]


def test_what_follows_the_body_follows(effects: Effects) -> None:
    (chord([number.s(1), number.s(2)], total.s()) | add.s(1) | listed.s()).apply_async()
    run_all()
    assert effects.lines() == ["total 3", "listed 4"]


def test_a_member_may_add_members(effects: Effects) -> None:
    chord([adding.s(1), number.s(10)])(total.s())
    run_all()
    assert (effects.lines(), counts()) == (["total 13"], [(3, 3, 0, 0)])


@pytest.mark.parametrize("task", [adding_a_chord, adding_a_chain])
def test_a_member_may_add_a_canvas(effects: Effects, task: Any) -> None:
    chord([task.s([2, 3]), number.s(10)])(listed.s())
    run_all()
    assert effects.lines()[-1] == "listed [0, 5, 10]"
    assert (3, 3, 0, 0) in counts()


def test_what_a_failed_attempt_added_is_not_added(effects: Effects) -> None:
    chord([adding.s(1), number.s(10)])(total.s())
    worker = InThisProcess()
    member = Job.objects.get(task=adding.name)
    worker.run(*worker.claim(member.pk))
    assert Job.objects.count() == 2
    assert counts() == [(2, 0, 0, 0)]


@pytest.mark.parametrize("task", [adding, replaced])
def test_a_canvas_is_changed_once_though_the_answer_to_its_record_is_lost(effects: Effects, task: Any) -> None:
    chord([task.s(1), number.s(10)])(listed.s())
    worker = InThisProcess()
    ends = worker.ends(worker.run(*worker.claim(Job.objects.get(task=task.name).pk)))
    worker.write(ends)
    worker.write([replace(end, again=True) for end in ends])
    assert Job.objects.count() == 3
    run_all()
    assert len(effects) == 1


@pytest.mark.parametrize("task, members", [(number, 2), (adding, 3), (replaced, 2)])
def test_a_success_that_comes_late_counts_with_its_result(effects: Effects, task: Any, members: int) -> None:
    chord([task.s(1), number.s(10)])(listed.s())
    worker = InThisProcess()
    ends = worker.ends(worker.run(*worker.claim(Job.objects.get(group_index=0).pk)))
    put_back([end.job.job.lease_id for end in ends])
    Job.objects.filter(group_index=0).update(attempt=1)
    worker.write(ends)
    run_all()
    first = {number: [1, 10], adding: [1, 10, 2], replaced: [101, 10]}[task]
    assert [sorted(json.loads(line.partition(" ")[2])) for line in effects.lines()] == [sorted(first)]
    assert counts() == [(members, members, 0, 0)]


def test_a_member_may_be_replaced(effects: Effects) -> None:
    chord([replaced.s(1), number.s(10)])(listed.s())
    run_all()
    assert (effects.lines(), counts()) == (["listed [101, 10]"], [(2, 2, 0, 0)])


def test_a_member_may_be_replaced_by_a_group(effects: Effects) -> None:
    chord([replaced_by_many.s([1, 2]), number.s(10)])(listed.s())
    run_all()
    assert effects.lines() == ["listed [[1, 2], 10]"]


def test_a_replaced_job_has_the_result_of_its_replacement(effects: Effects) -> None:
    result = chain(replaced.s(1), add.s(1000)).apply_async()
    first = Job.objects.get()
    run_all()
    assert AsyncResult(str(first.pk)).get(timeout=5) == 101
    assert result.get(timeout=5) == 1101


def test_a_job_replayed_after_it_was_replaced_moves_no_count(effects: Effects) -> None:
    chord([replaced.s(1), number.s(10)])(listed.s())
    run_all()
    retry(ids=(Job.objects.get(task=replaced.name).pk,))
    run_all()
    assert (effects.lines(), counts()) == (["listed [101, 10]"], [(2, 2, 0, 0)])


def test_a_group_cannot_have_plain_tasks_as_a_chords_header() -> None:
    with pytest.raises(ValueError, match=r"2 tasks, of which 1 are no jobs"):
        chord([number.s(1), tasks.plain.s("x")])(total.s())
    assert not Job.objects.exists()


def test_a_chord_called_twice_is_one() -> None:
    signature = chord([number.s(1), number.s(2)], total.s())
    signature.freeze()
    signature.apply_async()
    signature.apply_async()
    assert (Job.objects.count(), counts()) == (2, [(2, 0, 0, 0)])


def called(signature: Any) -> Any:
    """Return a signature that was called, and keeps its id."""
    signature.freeze()
    signature.apply_async()
    return signature


OF_A_JOB: dict[str, Callable[[Any], Any]] = {
    "a member": lambda one: chord([number.s(1), one])(listed.s()),
    "the last step of a member": lambda one: chord([number.s(1), chain(number.s(2), one)])(listed.s()),
    "the body": chord([number.s(1)]),
    "a step of the body": lambda one: chord([number.s(1)])(chain(listed.s(), one, number.si(3))),
    "one of a group that is the body": lambda one: chord([number.s(1)])(group(number.si(2), one)),
    "the body of a chord that is the body": lambda one: chord([number.s(1)])(chord([number.si(2)], one)),
    "a group's": lambda one: group(number.s(1), one).apply_async(),
}


@pytest.mark.parametrize("call", OF_A_JOB.values(), ids=list(OF_A_JOB))
def test_a_group_that_would_wait_for_ever_for_a_job_that_is_there_is_refused(call: Callable[[Any], Any]) -> None:
    one = called(number.si(7))
    with pytest.raises(InvalidOption, match=f"{one.id} is the id of a job that is there already"):
        call(one)
    assert (Job.objects.count(), JobGroup.objects.count()) == (1, 0)


def test_a_group_of_two_jobs_with_one_id_is_refused() -> None:
    one = number.si(7)
    one.freeze()
    with pytest.raises(InvalidOption, match=f"{one.id} is the id of .* two of its own"):
        chord([one, one])(listed.s())
    with pytest.raises(InvalidOption, match="is there already"), new_group(listed.s()) as made:
        number.apply_async((1,), task_id=called(number.si(8)).id, group_id=made.id)
    assert JobGroup.objects.count() == 0


def linked_to_itself(name: str) -> Any:
    one = number.si(1)
    one.options[name] = [one]
    return one


def with_itself(canvas: Any, at: int = 1) -> Any:
    canvas.tasks.insert(at, canvas)
    return canvas


def its_own_body(canvas: Any) -> Any:
    canvas.kwargs["body"] = canvas
    return canvas


ENDLESS: dict[str, Callable[[], Any]] = {
    "a group": lambda: with_itself(group([number.s(1)])).apply_async(),
    "a chain": lambda: with_itself(chain(number.si(1), number.si(2))).apply_async(),
    "a chain at its begin": lambda: with_itself(chain(number.si(1), number.si(2)), 0).delay(),
    "a chain in a group": lambda: group(with_itself(chain(number.si(1), number.si(2))), number.si(3)).apply_async(),
    "the header of a chord": lambda: with_itself(chord([number.s(1)], total.s())).apply_async(),
    "the body of a chord": lambda: chord([number.s(1)])(linked_to_itself("link")),
    "a chord as its own body": its_own_body(chord([number.s(1)], total.s())),
    "a link": lambda: linked_to_itself("link").apply_async(),
    "an error link": lambda: linked_to_itself("link_error").delay(),
    "a link of many": lambda: number.delay_many([(1,)], link=linked_to_itself("link")),
}


@pytest.mark.parametrize("call", ENDLESS.values(), ids=list(ENDLESS))
def test_a_canvas_that_contains_itself_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(InvalidArguments, match=r"contains itself|is nested more than 200 deep"):
        call()
    assert (Job.objects.count(), JobGroup.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "call, says",
    [
        (chord([number.s(1)]), "The body of the chord is None: it must be a signature"),
        (chord([number.s(1)], "tests.total"), "The body of the chord is 'tests.total': it must be"),
        (lambda: chord([number.s(1)])(total), r"The body of the chord is <@task.*: it must be a signature"),
        (chord([number.s(1), 2], total.s()), r"The header of the chord has 2\(\) among its tasks"),
        (group([number.s(1), None]), "The group has None among its tasks: each must be a signature"),
        (group([number]), r"The group has <@task.* among its tasks"),
        (lambda: number.apply_async((1,), link="text"), "link='text' is not valid: it must be a signature"),
        (lambda: number.apply_async((1,), link_error=[total.s(), {}]), r"link_error=\{\} is not valid"),
        (lambda: number.delay_many([(1,)], link=total), "link=<@task.* is not valid"),
    ],
)
def test_what_is_no_signature_is_refused_at_the_call(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(EnqueueError, match=says):
        call()
    assert (Job.objects.count(), JobGroup.objects.count()) == (0, 0)


@pytest.mark.parametrize("fails", [False, True])
def test_states_of_members_make_the_counts(effects: Effects, fails: bool) -> None:
    if fails:
        canvas.failing.add(3)
    chord([number.s(value) for value in range(5)])(total.s())
    for job in list(Job.objects.order_by("-group_index")):
        deliver(job)
        group_ = JobGroup.objects.get()
        for state, number_ in (("succeeded", group_.succeeded), ("dead", group_.dead)):
            assert Job.objects.filter(group_id=group_.pk, state=state).count() == number_


def test_a_group_of_many_calls_back_in_the_transaction_of_its_last_member(effects: Effects) -> None:
    callbacks = {"on_success": tell.s("good"), "on_dead": tell.s("bad"), "on_progress": tell.s("progress")}
    with new_group(listed.s(), **callbacks) as made:
        number.delay_many([(value,) for value in range(20)], group_id=made.id)
    assert (len(made), counts()) == (20, [(20, 0, 0, 0)])
    run_all()
    assert effects.count(f"listed {list(range(20))}") == effects.count("good") == 1
    assert (effects.count("bad"), effects.count("progress")) == (0, 10)
    assert made.result.join(timeout=5) == list(range(20))


def test_a_group_that_fails_says_so_and_succeeds_when_replayed(effects: Effects) -> None:
    canvas.failing.add(1)
    with new_group(on_success=tell.s("good"), on_dead=tell.s("bad")) as made:
        number.delay_many([(value,) for value in range(3)], group_id=made.id)
    run_all()
    assert effects.lines() == ["bad"]
    canvas.failing.clear()
    retry(states=(State.DEAD,))
    run_all()
    assert effects.lines() == ["bad", "good"]


def test_a_group_may_get_members_until_all_have_ended(effects: Effects) -> None:
    with new_group(listed.s()) as made:
        number.apply_async((1,), group_id=made.id)
    number.delay_many([(2,), (3,)], group_id=made.id)
    chain(number.s(4), add.s(10)).apply_async(group_id=made.id)
    run_all()
    assert effects.lines() == ["listed [1, 2, 3, 14]"]
    with pytest.raises(InvalidOption, match="of which a member has still to end"):
        number.apply_async((1,), group_id=made.id)


@pytest.mark.parametrize("wrong", [tasks.plain.s("x"), "text", 7])
def test_what_follows_a_group_must_be_a_job(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="on_dead="), new_group(on_dead=wrong):
        pass
    assert not JobGroup.objects.exists()


def test_a_group_without_members_has_succeeded_at_once(effects: Effects) -> None:
    with new_group(listed.s(), on_success=tell.s("good"), on_dead=tell.s("bad")) as made:
        pass
    run_all()
    assert sorted(effects.lines()) == ["good", "listed []"]
    assert made.body is not None
    assert Job.objects.filter(pk=made.body.id, state=State.SUCCEEDED).exists()


def test_a_block_that_raises_makes_no_group() -> None:
    def fail_amid() -> None:
        with new_group() as made:
            number.delay_many([(1,)], group_id=made.id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_amid()
    assert (Job.objects.count(), JobGroup.objects.count()) == (0, 0)


def test_an_immutable_body_needs_no_results(effects: Effects) -> None:
    with new_group(tasks.note.si("done")) as made:
        number.delay_many([(1,), (2,)], group_id=made.id)
    run_all()
    assert effects.lines() == ["done"]
    assert not Job.objects.exclude(result=None).exists()


def test_a_group_result_is_saved_and_restored() -> None:
    result = group([number.s(1), number.s(2)]).apply_async()
    result.save()
    restored = GroupResult.restore(result.id)
    assert restored is not None
    assert [one.id for one in restored.results] == [one.id for one in result.results]
    result.delete()
    assert GroupResult.restore(result.id) is None


def test_a_group_result_tells_of_its_members() -> None:
    canvas.failing.add(2)
    result = group([add.s(1, 1), number.s(2)]).apply_async()
    first, second = Job.objects.order_by("group_index")
    assert (result.ready(), result.waiting(), result.completed_count()) == (False, True, 0)
    deliver(first)
    assert (result.ready(), result.completed_count(), result.failed()) == (False, 1, False)
    deliver(second)
    assert (result.ready(), result.successful(), result.failed()) == (True, False, True)
    with pytest.raises(Permanent, match="number 2 fails"):
        result.get(timeout=5)


def test_a_look_at_a_group_is_one_query_however_many_members_it_has(django_assert_max_num_queries: Any) -> None:
    result = group([number.s(value) for value in range(300)]).apply_async()
    with django_assert_max_num_queries(2):
        assert not result.ready()


def test_the_children_of_a_job_are_results_and_groups_of_them() -> None:
    job = tasks.step.apply_async((None, "a"), link=[group(tasks.step.s("b"), tasks.step.s("c")), tasks.step.s("d")]).job
    deliver(job)
    kinds = sorted(type(child).__name__ for child in AsyncResult(str(job.pk)).children or [])
    assert kinds == ["AsyncResult", "GroupResult"]


def test_results_that_a_body_still_wants_are_not_pruned() -> None:
    chord([number.s(1), number.s(2)])(total.s())
    first, second = Job.objects.order_by("group_index")
    deliver(first)
    past = Past({State.SUCCEEDED}, -1.0)
    assert prune.prune_jobs(past, 10) == 0
    deliver(second)
    assert prune.prune_jobs(past, 10) == 2


def test_a_group_is_pruned_when_it_has_ended_long_ago() -> None:
    chord([number.s(1), number.s(2)])(total.s())
    assert prune.prune_groups(-1.0, 10) == 0
    run_all()
    assert prune.prune_groups(60.0, 10) == 0
    assert prune.prune_groups(-1.0, 10) == 1


@pytest.mark.django_db(transaction=True)
def test_the_plain_body_of_a_chord_is_sent(valkey: Valkey) -> None:
    chord([number.s(1)])(tasks.plain.si("x"))
    run_all()
    assert tasks.plain.name in [message.headers["task"] for message in messages(valkey, "default")]


def test_what_never_begins_since_a_step_before_it_has_failed_has_failed_like_that(effects: Effects) -> None:
    canvas.failing.add(2)
    header, then = [number.s(1), number.s(2)], chord([add.s(1), add.s(2)], total.s())
    inner = chain(chord(header, total.s()), then)
    result = group(inner, chain(number.si(2), add.s(1), add.s(1)), number.s(1)).apply_async()
    run_all()
    assert [one.state for one in result.results] == ["FAILURE", "FAILURE", "SUCCESS"]
    assert result.ready()
    assert result.failed()
    with pytest.raises(Permanent, match="number 2 fails"):
        result.get(timeout=5)
    with pytest.raises(Permanent, match="number 2 fails"):
        result.results[1].get(timeout=5)
    canvas.failing.clear()
    retry(states=(State.DEAD,))
    assert [one.state for one in result.results][:2] == ["PENDING", "PENDING"]
    run_all()
    assert [AsyncResult(one.id).get(timeout=5) for one in result.results[:2]] == [9, 4]


def test_what_follows_a_chord_whose_body_is_a_group_has_failed_with_it(effects: Effects) -> None:
    canvas.failing.add(2)
    body = group(total.s(), total.s())
    result = chain(
        chord([number.s(1), number.s(2)], body), chord([number.si(1), number.si(1)], total.s())
    ).apply_async()
    run_all()
    assert result.state == "FAILURE"
    alone = chord([number.s(1), number.s(2)], group(total.s(), total.s()))()
    run_all()
    with pytest.raises(Permanent, match="number 2 fails"):
        alone.get(timeout=20)


@pytest.mark.parametrize("where", ["the header", "the body"])
def test_a_chord_whose_body_is_a_chain_with_chords_is_told_by_the_error_in_one_of_these(
    effects: Effects, where: str
) -> None:
    canvas.failing.add(2)
    inner = chord([number.si(1), number.si(2 if where == "the header" else 3)], number.si(2))
    result = chord([number.si(1)], chain(listed.s(), inner, group(number.si(4), number.si(5)), total.s()))()
    run_all()
    with pytest.raises(Permanent, match="number 2 fails"):
        result.get(timeout=20)


def test_a_chord_is_told_by_the_error_of_the_step_that_failed_in_its_header_or_body(effects: Effects) -> None:
    canvas.failing.add(2)
    steps = chain(number.si(1), number.si(2), number.si(3))
    for result in (chord((steps,), total.s())(), chord((number.si(1),), steps)()):
        run_all()
        with pytest.raises(Permanent, match="number 2 fails"):
            result.get(timeout=5)
