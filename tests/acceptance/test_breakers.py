"""A server that dies while real workers need it: its jobs wait, one probes, and nothing waits for ever."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from jobs.core.breaker import BreakerState
from jobs.core.held_by import HeldBy
from jobs.core.states import State
from jobs.enqueue.dispatcher import flush
from jobs.models import BreakerChange, CircuitBreaker, Job
from tests.acceptance.engine import AWAY, IMPATIENT, QUICK, Gate, ended, happened, once_each, some_houses
from tests.acceptance.worker import Worker
from tests.tasks_app import tasks
from tests.tasks_app.effects import Effects
from tests.waiting import always, wait_for

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("database")]

NAME = tasks.SERVER.name
NAMES = [f"waits {number}" for number in range(12)]


@dataclass
class Server:
    """What the tasks need, and how its breaker stands. It has died; when it answers again, it does so at the gate."""

    path: Path
    gate: Gate
    effects: Effects

    def asked(self) -> list[str]:
        """Return who has asked it, in order."""
        return [line.removesuffix(" asked") for line in self.effects.lines() if line.endswith(" asked")]

    def call(self, *names: str) -> list[Job]:
        """Enqueue jobs that need it."""
        return [one.job for one in tasks.depends.delay_many([n, str(self.path), str(self.gate)] for n in names)]

    def comes_back(self) -> None:
        """Let it answer again, and its breaker's next probe be due."""
        self.path.touch()
        self.probed_in(0)

    def probed_in(self, hours: float) -> None:
        """Choose when the next probe is due."""
        due = timezone.now() + timedelta(hours=hours)
        assert CircuitBreaker.objects.filter(pk=NAME, state=BreakerState.OPEN).update(next_probe_at=due)

    def is_open(self) -> bool:
        """Whether its breaker is."""
        return CircuitBreaker.objects.filter(pk=NAME, state=BreakerState.OPEN).exists()


@pytest.fixture
def server(tmp_path: Path, effects: Effects) -> Iterator[Server]:
    """A server that has died."""
    server = Server(tmp_path / "server", Gate(tmp_path / "gate"), effects)
    yield server
    server.gate.open()
    flush()


@pytest.fixture
def waiting(server: Server, start_worker: Callable[..., Worker], pool: str) -> tuple[list[Worker], list[Job]]:
    """Two workers, and jobs that wait since the server has died."""
    workers = [start_worker(pool=pool, concurrency=2, options=QUICK, environment=IMPATIENT) for _ in range(2)]
    first = server.call("one", "two", "three")
    wait_for(server.is_open, what="the breaker to open")
    server.probed_in(hours=1)
    jobs = [*first, *server.call(*NAMES)]

    def all_wait() -> bool:
        return Job.objects.filter(state=State.QUEUED, held_by=HeldBy.BREAKER).count() == len(jobs)

    wait_for(all_wait, 30, what="all jobs to wait", passing_over=AWAY)
    return workers, jobs


@some_houses
def test_its_jobs_wait_without_an_attempt_until_one_that_probes_succeeds(
    server: Server, waiting: tuple[list[Worker], list[Job]], effects: Effects
) -> None:
    _, jobs = waiting
    tasks.note.delay("beside")
    happened(effects, "beside")
    asked = server.asked()
    assert not set(NAMES) & set(asked)
    assert set(Job.objects.filter(pk__in=[one.pk for one in jobs[3:]]).values_list("attempt", flat=True)) == {0}
    server.comes_back()
    wait_for(lambda: len(server.asked()) > len(asked), what="a probe")
    always(lambda: len(server.asked()) == len(asked) + 1, 2.0)
    assert CircuitBreaker.objects.get(pk=NAME).state == BreakerState.HALF_OPEN
    server.gate.open()
    assert set(ended(*jobs)) == {"succeeded"}
    once_each(effects, [f"{name} done" for name in ("one", "two", "three", *NAMES)])
    assert set(Job.objects.filter(pk__in=[one.pk for one in jobs[3:]]).values_list("attempt", flat=True)) == {1}
    changes = list(BreakerChange.objects.values_list("state", "reason"))
    assert changes == [("closed", ""), ("open", "ConnectionError: 421 too many connections")]


@pytest.mark.parametrize(
    "database, pool, victim",
    [("postgres", "prefork", "process"), ("postgres", "prefork", "worker"), ("sqlite", "prefork", "worker")],
    indirect=["database"],
)
def test_a_probe_that_is_killed_is_followed_by_another(
    server: Server, waiting: tuple[list[Worker], list[Job]], effects: Effects, victim: str
) -> None:
    workers, jobs = waiting
    asked = len(server.asked())
    server.comes_back()
    wait_for(lambda: len(server.asked()) == asked + 1, what="a probe")
    [probe] = Job.objects.filter(state=State.RUNNING)
    [its] = [worker for worker in workers if f"{worker.name}@test" == probe.worker]
    if victim == "worker":
        its.kill()
    else:
        for pid in its.children():
            its.kill_child(pid)
    wait_for(lambda: len(server.asked()) == asked + 2, 30, what="another probe", passing_over=AWAY)
    always(lambda: len(server.asked()) == asked + 2, 1.0)
    server.gate.open()
    assert set(ended(*jobs, seconds=60)) == {"succeeded"}
    once_each(effects, [f"{name} done" for name in ("one", "two", "three", *NAMES)])


@pytest.mark.parametrize("database, pool", [("postgres", "prefork")], indirect=["database"])
def test_a_probe_passes_by_thousands_of_jobs_that_wait_in_the_same_queue(
    server: Server, waiting: tuple[list[Worker], list[Job]]
) -> None:
    _, jobs = waiting
    asked = len(server.asked())
    tasks.lasting.delay_many([("flood", 0.05)] * 5000)
    flood = Job.objects.filter(task=tasks.lasting.name)
    wait_for(lambda: flood.filter(state=State.SUCCEEDED).count() > 20, 30, what="the flood to run")
    server.comes_back()
    wait_for(lambda: len(server.asked()) > asked, 20, what="a probe")
    assert flood.filter(state=State.QUEUED).count() > 1000
    server.gate.open()
    flood.filter(state=State.QUEUED).delete()
    assert set(ended(*jobs)) == {"succeeded"}
