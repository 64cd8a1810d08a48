"""Changing BROKER_URL is the whole migration: what waited on the old broker runs through the new one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from jobs.enqueue import dispatcher
from jobs.models import Job
from tests.brokers.application import application_at
from tests.brokers.conftest import IMPATIENT, OpenHouse
from tests.brokers.system import Broker, System
from tests.conftest import REPORTS
from tests.databases import Database
from tests.tasks_app import tasks
from tests.waiting import always, wait_for

pytestmark = pytest.mark.timeout(180)

#: From, to, and on which database: on each where the ledger is one of them, on one where it is not.
MOVES = [
    ("valkey", "rabbitmq", "postgres"),
    ("rabbitmq", "valkey", "sqlite"),
    ("valkey", "ledger", "postgres"),
    ("valkey", "ledger", "sqlite"),
    ("rabbitmq", "ledger", "postgres"),
    ("ledger", "valkey", "postgres"),
    ("ledger", "valkey", "sqlite"),
    ("ledger", "rabbitmq", "sqlite"),
]


def all_succeeded() -> bool:
    """Whether no job is in any other state."""
    return not Job.objects.exclude(state="succeeded").exists()


@pytest.fixture
def start(
    request: pytest.FixtureRequest, open_house: OpenHouse, tmp_path: Path, vendor: str
) -> Iterator[Callable[[str], System]]:
    """Open a system on a broker and the test's database."""
    reports = request.node.stash.setdefault(REPORTS, [])
    with ExitStack() as houses:

        def start(kind: str) -> System:
            name = f"ledger-{vendor}" if kind == "ledger" else kind
            return houses.enter_context(open_house(name, tmp_path, reports, vendor=vendor))

        yield start


@pytest.mark.parametrize("old, new, vendor", MOVES)
def test_jobs_move_to_another_broker(
    start: Callable[[str], System], make_broker: Callable[[str, Database], Broker], old: str, new: str
) -> None:
    system = start(old)
    # Some wait in the broker, some for their time, one was running and some fetched when the old worker died.
    gate = system.gate("gate")
    doomed = system.start_worker(environment=IMPATIENT, concurrency=1)
    gated = [f"gated {number}" for number in range(3)]
    tasks.gated.delay_many([{"effect": name, "gate": str(gate)} for name in gated])
    wait_for(lambda: system.effects.count("gated 0 began"))
    doomed.kill()
    waiting = [f"waiting {number}" for number in range(30)]
    tasks.note.delay_many([{"effect": name} for name in waiting])
    tasks.note.apply_async(args=["later"], countdown=2)
    dispatcher.flush()

    broker = make_broker(new, system.database)
    with application_at(broker.url):
        broker.wipe()
        moved = system.move_to(broker)
        gate.touch()
        moved.start_worker(environment=IMPATIENT, concurrency=2)
        # What is enqueued meanwhile takes the new way.
        tasks.note.delay("new")
        wait_for(all_succeeded, 60)
        names = [*waiting, "later", "new", *(f"{name} ended" for name in gated)]
        assert {name: count for name in names if (count := system.effects.count(name)) != 1} == {}
        # The old broker still holds messages of jobs that have run. A worker that is left there repeats nothing.
        done = len(system.effects)
        system.start_worker(environment=IMPATIENT, concurrency=1)
        always(lambda: len(system.effects) == done, 2)
