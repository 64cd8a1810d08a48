"""What tests of brokers can ask for: a `system` on each broker, and one `shared` by the tests that change nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.acceptance.worker import SharedWorker
from tests.brokers.rabbitmq import RabbitMQ
from tests.brokers.system import Broker, LedgerBroker, RabbitBroker, Report, System, ValkeyBroker, house_on
from tests.conftest import REPORTS
from tests.databases import Database
from tests.environment import CI, environment

#: So that nothing takes longer than a test may: a lease is lost after 3 s, a message after 2 s.
IMPATIENT = {"JOBS_LEASE_SECONDS": "3", "JOBS_RESEND_SECONDS": "2", "JOBS_HOUSEKEEPING_SECONDS": "0.4"}

OpenHouse = Callable[..., AbstractContextManager[System]]

BROKERS = ("valkey", "rabbitmq", "ledger-postgres", "ledger-sqlite")

#: Both pools on each broker; where the ledger is the broker one is enough on each database, which the broker is then.
some_systems = pytest.mark.parametrize(
    "system, pool",
    [
        *((broker, pool) for broker in ("valkey", "rabbitmq") for pool in ("prefork", "threads")),
        ("ledger-postgres", "prefork"),
        ("ledger-sqlite", "threads"),
    ],
    indirect=["system"],
)


@pytest.fixture(scope="session")
def rabbitmq_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """The RabbitMQ node of this run."""
    if not RabbitMQ.installed():
        reason = "RabbitMQ is not installed here (Debian: apt install rabbitmq-server)."
        pytest.fail(reason) if CI else pytest.skip(reason)
    node = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        yield node.start()
    finally:
        node.close()


@pytest.fixture(scope="session")
def make_broker(request: pytest.FixtureRequest) -> Callable[[str, Database], Broker]:
    """Return a running broker by name, for a database."""

    def make(name: str, database: Database) -> Broker:
        if name == "rabbitmq":
            return RabbitBroker(request.getfixturevalue("rabbitmq_node").start())
        if name == "valkey":
            return ValkeyBroker(environment.valkey.start())
        return LedgerBroker(database)

    return make


@pytest.fixture(scope="session")
def open_house(
    request: pytest.FixtureRequest,
    make_broker: Callable[[str, Database], Broker],
    postgres_template: str,
    sqlite_template: str,
) -> OpenHouse:
    """Open a system on a broker by name."""
    templates = {"postgres": postgres_template, "sqlite": sqlite_template}
    blocker = request.getfixturevalue("django_db_blocker")

    @contextmanager
    def open_house(name: str, directory: Path, reports: list[Report], vendor: str = "") -> Iterator[System]:
        vendor = vendor or ("sqlite" if name == "ledger-sqlite" else "postgres")
        database = Database.copied(vendor, template=templates[vendor], directory=directory)
        with (
            blocker.unblock(),
            house_on(lambda own: make_broker(name, own), database, directory, reports) as system,
        ):
            yield system

    return open_house


@pytest.fixture(params=BROKERS)
def system(request: pytest.FixtureRequest, open_house: OpenHouse, tmp_path: Path) -> Iterator[System]:
    """An empty broker and database of the test's own, without workers; once for each broker."""
    reports = request.node.stash.setdefault(REPORTS, [])
    with open_house(request.param, tmp_path, reports) as system:
        yield system


@pytest.fixture(scope="module", params=BROKERS)
def shared_house(
    request: pytest.FixtureRequest,
    open_house: OpenHouse,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[System, SharedWorker]]:
    """A system with one worker at work, for all tests of a module; once for each broker."""
    with open_house(request.param, tmp_path_factory.mktemp("system"), []) as system:
        yield system, SharedWorker(system.start_worker(name="shared", concurrency=4))


@pytest.fixture
def shared(request: pytest.FixtureRequest, shared_house: tuple[System, SharedWorker]) -> Iterator[System]:
    """The system of this module, its worker at work when the test begins and when it ends."""
    system, shared = shared_house
    request.node.stash.setdefault(REPORTS, []).append(shared.worker.report)
    with shared.outliving_a_test():
        yield system
