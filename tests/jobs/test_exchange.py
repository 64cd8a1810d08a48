"""Claims and successes that a worker's parent process writes together. On SQLite each pool process writes its own."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import connection, transaction
from kombu.asynchronous import Hub

from jobs.core.states import State
from jobs.ledger import claims, exchange as ledger
from jobs.ledger.claims import Claimed
from jobs.models import Attempt, Job
from jobs.operations import actions
from jobs.worker.async_connection import Line
from jobs.worker.exchange import Exchange, _connected
from jobs.worker.losses import Success, losses
from jobs.worker.request import JobRequest
from jobs.worker.successes import Successes
from tests.databases import disconnect_others
from tests.jobs.delivery import delivery_of, request_for
from tests.jobs.loops import turns
from tests.jobs.rows import LEASE, OTHER_LEASE, claimed, content, written
from tests.tasks_app import tasks
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres_only]

MISSING = uuid.uuid4()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line(_connected(), ledger.statement())
    yield made
    made.close()


def together(
    line: Line, *, succeeded: Mapping[str, uuid.UUID] | None = None, claimed: Mapping[str, uuid.UUID] | None = None
) -> tuple[set[str], dict[str, Claimed]]:
    """Run the statement and return its answer."""
    line.send(ledger.parameters(succeeded or {}, claimed or {}, 60, "worker@test"))
    return ledger.answer(line.wait(10))


def test_each_job_succeeds_under_its_own_lease_and_no_other(line: Line) -> None:
    first, second = claimed("1" * 32), claimed("2" * 32)
    third, before = claimed("3" * 32), {}
    before = content(third)
    leases = {"1" * 32: first.pk, "2" * 32: second.pk, "4" * 32: third.pk, "5" * 32: MISSING}
    assert together(line, succeeded=leases) == ({"1" * 32, "2" * 32}, {})
    assert content(third) == before
    first.refresh_from_db()
    assert (first.state, first.lease_id, first.lease_expires_at) == (State.SUCCEEDED, None, None)
    assert first.finished_at == first.changed_at


def test_a_claim_does_what_a_claim_of_its_own_does(line: Line) -> None:
    one, other = written(max_retries=None), written(max_retries=None)
    alone = claims.claim(other.pk, lease_id=OTHER_LEASE, lease_seconds=60, worker="worker@test")
    assert together(line, claimed={LEASE: one.pk}) == (set(), {LEASE: alone})
    differing = {
        "id",
        "lease_id",
        "lease_expires_at",
        "started_at",
        "dispatched_at",
        "changed_at",
        "created_at",
        "run_at",
    }
    rows = [{name: value for name, value in content(job).items() if name not in differing} for job in (one, other)]
    assert rows[0] == rows[1]
    one.refresh_from_db()
    assert one.started_at == one.changed_at == one.dispatched_at
    assert one.lease_expires_at is not None
    assert one.started_at is not None
    assert (one.lease_expires_at - one.started_at).total_seconds() == 60


def test_claims_and_successes_go_in_one_statement(line: Line) -> None:
    done, due = claimed("1" * 32), written()
    succeeded, taken = together(line, succeeded={"1" * 32: done.pk}, claimed={"2" * 32: due.pk})
    assert (succeeded, set(taken)) == ({"1" * 32}, {"2" * 32})


def pause(job: Job) -> None:
    actions.pause_queue(job.queue, actor="test")


def lose_a_worker(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(worker_losses=1)


def hold_a_key(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(unique_key="key")


def have_taken(job: Job) -> None:
    assert claims.claim(job.pk, lease_id=OTHER_LEASE, lease_seconds=60, worker="other")


@pytest.mark.parametrize("prevent", [pause, lose_a_worker, hold_a_key, have_taken])
def test_what_may_not_be_claimed_ahead_is_not(line: Line, prevent: Callable[[Job], None]) -> None:
    job = written()
    prevent(job)
    before = content(job)
    assert together(line, claimed={LEASE: job.pk, OTHER_LEASE: MISSING}) == (set(), {})
    assert content(job) == before


def test_of_two_deliveries_of_one_job_one_gets_it(line: Line) -> None:
    job = written()
    _, taken = together(line, claimed={LEASE: job.pk, OTHER_LEASE: job.pk})
    [lease] = taken
    job.refresh_from_db()
    assert (job.lease_id, job.attempt) == (lease, 1)


def test_an_expired_job_is_claimed_and_known_to_be_expired(line: Line) -> None:
    job = written(expires_in=-1)
    assert together(line, claimed={LEASE: job.pk})[1][LEASE].expired


def test_the_statement_is_planned_anew_whenever_it_has_run_twice_as_often(line: Line) -> None:
    for _ in range(20):
        together(line)
    assert line._runs == 20
    assert line._prepared == 5


def test_a_statement_that_fails_says_so_and_one_that_hangs_is_not_waited_for_for_ever(line: Line) -> None:
    line.send([b"{}", b"{}", b"no number", b"", b"{}", b"{}"])
    with pytest.raises(Exception, match="no number"):
        line.wait(10)
    hanging = Line(_connected(), "SELECT pg_sleep(60) WHERE $1 = $2 AND $3 = $4 AND $5 = $6")
    hanging.send([b"a"] * 6)
    with pytest.raises(Exception, match="did not answer"):
        hanging.wait(0.1)
    disconnect_others()
    hanging.close()


# --- Through a worker's event loop -----------------------------------------------------------------


class Asking:
    """Somebody who wants claims, and keeps what becomes of them."""

    def __init__(self) -> None:
        self.wanted: list[JobRequest] = []
        self.claimed: dict[str, Claimed] = {}
        self.doubtful: list[JobRequest] = []

    def take(self) -> list[JobRequest]:
        wanted, self.wanted = self.wanted, []
        return wanted

    def answered(self, asked: list[JobRequest], claimed: Mapping[str, Claimed], asked_at: float) -> None:
        self.claimed.update(claimed)

    def unanswered(self, asked: list[JobRequest]) -> None:
        self.doubtful += asked


class Loop:
    """A worker's event loop with an exchange in it."""

    def __init__(self) -> None:
        self.hub, self.exchange, self.asking = Hub(), Exchange(), Asking()
        self.successes = Successes(self.exchange)
        self.exchange.serve(self.asking, self.successes)
        self.exchange.attach(self.hub)
        self.until(lambda: self.exchange.is_open)

    def until(self, condition: Callable[[], Any]) -> None:
        wait_for(lambda: turns(self.hub) and condition())


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.exchange.close()
    made.hub.close()


def begun() -> JobRequest:
    """Return the delivery of a job that its pool has begun."""
    job = claimed(task=tasks.noop.name)
    request = delivery_of(job)
    Job.objects.filter(pk=job.pk).update(lease_id=request.lease_id)
    return request


def state(request: JobRequest) -> str:
    return Job.objects.get(pk=request.id).state


def test_what_is_put_is_written_and_what_is_asked_for_is_claimed(loop: Loop) -> None:
    done = [begun() for _ in range(20)]
    for request in done:
        loop.successes.put(request, 1)
    loop.asking.wanted = [delivery_of(written()) for _ in range(5)]
    wanted = {request.lease_id for request in loop.asking.wanted}
    loop.exchange.wake()
    loop.until(lambda: {state(request) for request in done} == {State.SUCCEEDED})
    loop.until(lambda: set(loop.asking.claimed) == wanted)
    assert loop.successes.holders() == []
    assert not Attempt.objects.exists()


def test_a_success_whose_lease_was_lost_is_refused_and_kept(loop: Loop) -> None:
    late, other = begun(), begun()
    Job.objects.filter(pk=late.id).update(lease_id=OTHER_LEASE)
    loop.successes.put(late, 3)
    loop.successes.put(other, 1)
    loop.until(losses.unwritten)
    losses.write_all()
    refused = Attempt.objects.get(job_id=late.id)
    assert (refused.number, refused.outcome, refused.error_type) == (3, "refused", "Succeeded")
    assert (state(late), state(other)) == (State.RUNNING, State.SUCCEEDED)


def test_what_is_on_its_way_is_waited_for_at_the_end_and_the_rest_is_housekeepings(loop: Loop) -> None:
    on_its_way, left = begun(), begun()
    loop.successes.put(on_its_way, 1)
    loop.until(lambda: loop.exchange._in_flight)
    loop.successes.put(left, 1)
    loop.exchange.detach()
    assert (state(on_its_way), state(left)) == (State.SUCCEEDED, State.RUNNING)
    assert not loop.exchange.is_open
    loop.successes.drop()
    assert losses.unwritten() == [Success(left, 1)]
    assert losses.holders() == [left]
    late = begun()
    loop.successes.put(late, 1)
    losses.write_all()
    assert (state(left), state(late)) == (State.SUCCEEDED, State.SUCCEEDED)
    loop.exchange.attach(loop.hub)
    again = begun()
    loop.successes.put(again, 1)
    loop.until(lambda: state(again) == State.SUCCEEDED)


def test_a_lost_connection_leaves_both_in_doubt_and_another_one_is_made(loop: Loop) -> None:
    job = written()
    with transaction.atomic(), connection.cursor() as cursor:
        # A locked row would be passed by; for a locked table the statement is on its way as long as we like.
        cursor.execute("LOCK TABLE jobs_job")
        asked, done = delivery_of(job), begun_elsewhere()
        loop.asking.wanted = [asked]
        loop.successes.put(done, 1)
        loop.exchange.wake()
        loop.until(lambda: loop.exchange._in_flight)
        disconnect_others()
        loop.until(lambda: loop.asking.doubtful)
    assert loop.asking.doubtful == [asked]
    assert losses.unwritten() == [Success(done, 1)]
    losses.write_all()
    loop.until(lambda: loop.exchange.is_open)
    loop.asking.wanted = [asked]
    loop.exchange.wake()
    loop.until(lambda: loop.asking.claimed)


def begun_elsewhere() -> JobRequest:
    """Return the delivery of a job that the ledger does not know; its success changes nothing."""
    return request_for("[[], {}, {}]", {"task": tasks.noop.name, "id": str(uuid.uuid4()), "lang": "py"})
