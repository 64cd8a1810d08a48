"""What tests can ask for. Real servers start when the first test asks, and are shared; each test finds them empty.

**Servers** (`tests/servers/`; all offer `start stop kill restart pause resume port log`). A test may stop, kill or
pause any of them; the next test finds it running again.

- `valkey`: a flushed Valkey; `.url`, `.client` (redis-py). The settings' BROKER_URL and REDIS_URL lead to it.
- `postgres`: the cluster; `.url(name)`, `.execute(sql, database)`, `.disconnect_all(database)`.
- `smtp`: an SMTP server without TLS, to which the settings' SMTP_* lead; `.mails`, `.connections`,
  `.refuse("RCPT", "550 no")`, `.hang_up_at("DATA", times=1)`, `.fall_silent_at(step)`, `.drop_connections()`.
  With TLS or a login: `make_smtp(tls="starttls", login=(user, password))`.
- `seaweedfs`: S3 without buckets; `.url`, `.access_key`, `.secret_key`, `.client` (boto3), `.create_bucket(name)`.

**Databases.** Mark a test `@pytest.mark.django_db` (`transaction=True` where commits matter) as usual. It runs on
PostgreSQL, or with TEST_DATABASE=sqlite on SQLite; `make test` runs `tests/jobs/` on both. What can only be said of one
of them is marked `@pytest.mark.postgres_only` or `@pytest.mark.sqlite_only`, and is left out on the other. What uses no
database is left out on SQLite, and so is what is marked `@pytest.mark.any_database`: pages, forms and words, which are
the same on each.

`database` is for acceptance tests: a migrated, committed database of the test's own, to which the project's `default`
connection leads for the length of the test, so that the ORM works in the test as in a worker. The test runs once on
PostgreSQL and once on SQLite. It has `.url`, `.vendor` and `.name`.

**Workers** (`tests/acceptance/`): `start_worker(pool="threads", concurrency=2, queues=["a"], name="w1",
environment={…})` starts a real `celery -A project worker` (see `tests.forks`) on `database` and `valkey` and returns
when it is ready. It has `.pid`, `.children()`, `.signal(n)`, `.kill()` (kill -9 of all its processes), `.kill_main()`,
`.kill_child()`, `.stop()` (SIGTERM and wait), `.wait()`, `.log_text()`. `effects` counts what the tasks did: a task
calls
`tests.tasks_app.effects.record("x")`, the test asks `effects.count("x")`. `manage("jobs", "list")` runs a management
command as a process. The workers' logs are shown when the test fails.

**Waiting**: only `tests.waiting.wait_for(condition, deadline)` and `always(condition, seconds)`.
"""

import gc
import os
import shutil
from collections.abc import Callable, Generator, Iterator

import django
import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

import tests.zones  # noqa: F401  Before what asks for them is loaded.
from tests.environment import CI, DATABASE, TEMPLATE, TEMPLATES, environment

# The settings are read once, and must find the variables of the tests.
if settings.configured:
    raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE and leave out --ds: the tests choose the settings.")
os.environ.update(environment.variables())
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
django.setup()

from django.contrib.auth.hashers import PBKDF2PasswordHasher  # noqa: E402  The settings come first.
from django.test import TransactionTestCase  # noqa: E402

from jobs.enqueue import dispatcher  # noqa: E402  The settings come first.
from tests.databases import Database, Emptying, default_database_at  # noqa: E402  The settings come first.
from tests.servers import Postgres, SeaweedFS, SmtpServer, Valkey  # noqa: E402  The settings come first.
from tests.templates import make_cluster, migrate  # noqa: E402  The settings come first.

# Hundreds of tests make users, a quarter of a second of a processor each, and few ask for a password. A hash names its
# own iterations, so the sites that tests start can check it.
PBKDF2PasswordHasher.iterations = 1

# The two cores are shared with servers, so how long an example takes, or its making, says nothing about the code.
unhurried = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("local", unhurried)
hypothesis.settings.register_profile("ci", unhurried, print_blob=True)
hypothesis.settings.load_profile("ci" if CI else "local")

#: The test kit's fixtures.
pytest_plugins = ["jobs.testing.plugin"]

#: Callables that tell what a failing test's processes said, as (title, text).
Report = Callable[[], tuple[str, str]]
REPORTS = pytest.StashKey[list[Report]]()


def pytest_unconfigure() -> None:
    """Stop every server and remove what they wrote."""
    environment.close()


def pytest_report_header() -> str:
    """Say on which database this run is."""
    return f"database: {DATABASE} (TEST_DATABASE)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the other run has: what can only be said of its database, and here what is said of none or any."""
    if DATABASE == "sqlite":
        elsewhere = ("postgres_only", "any_database")
        left_out = {
            item for item in items if any(map(item.get_closest_marker, elsewhere)) or not uses_the_database(item)
        }
    else:
        left_out = {item for item in items if item.get_closest_marker("sqlite_only")}
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


def pytest_collection_finish() -> None:
    """Keep what is loaded out of garbage collections: it stays to the end, and to look through it takes a tenth."""
    gc.freeze()


def uses_the_database(item: pytest.Item) -> bool:
    """Whether a test works on the database of the run."""
    names = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("django_db") is not None or not names.isdisjoint({"db", "transactional_db"})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the logs of a failing test's processes into its report."""
    report = yield
    if report.failed:
        report.sections.extend(tell() for tell in item.stash.get(REPORTS, []))
    return report


# --- Servers ------------------------------------------------------------------------------------


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL cluster."""
    yield environment.postgres.start()
    environment.postgres.start()


@pytest.fixture
def valkey() -> Valkey:
    """An empty Valkey, to which nothing is still on its way from the test before."""
    server = environment.valkey.start()
    dispatcher.flush()
    server.flush()
    return server


@pytest.fixture
def seaweedfs() -> SeaweedFS:
    """S3 without buckets."""
    server = environment.seaweedfs.start()
    server.flush()
    return server


@pytest.fixture
def smtp() -> SmtpServer:
    """The SMTP server of the settings, well-behaved and without mails."""
    environment.smtp.reset()
    return environment.smtp


@pytest.fixture
def make_smtp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., SmtpServer]]:
    """Start SMTP servers with TLS or a login of the test's own."""
    servers: list[SmtpServer] = []

    def make(*, tls: str = "none", login: tuple[str, str] | None = None, mechanism: str = "PLAIN") -> SmtpServer:
        directory = tmp_path_factory.mktemp("smtp")
        servers.append(SmtpServer(directory, tls=tls, login=login, mechanism=mechanism))
        return servers[-1].start()

    yield make
    for server in servers:
        server.stop()


# --- Databases ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_template() -> str:
    """The name of a migrated PostgreSQL database, to be copied."""
    if TEMPLATES is None:
        make_cluster(environment.postgres)
    else:
        environment.postgres.start()
    return TEMPLATE


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a migrated SQLite database, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "nightshift.sqlite3"
    if TEMPLATES is None:
        migrate(f"sqlite:///{path}")
    else:
        shutil.copyfile(TEMPLATES / path.name, path)
    return str(path)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Lead the `default` connection to a copy of what is migrated; have it emptied our way after tests that commit.

    Django would look whether there is something to migrate, which takes as long as twenty tests.
    """
    own = Database.copied(
        DATABASE,
        template=request.getfixturevalue(f"{DATABASE}_template"),
        directory=tmp_path_factory.mktemp("database"),
    )
    # Those of all threads have these settings.
    connection.settings_dict["NAME"] = own.name
    with django_db_blocker.unblock():
        emptying = Emptying()
    TransactionTestCase._fixture_teardown = lambda _: emptying.after_a_test()  # type: ignore[attr-defined]
    yield
    with django_db_blocker.unblock():
        connection.close()


@pytest.fixture(params=["postgres", "sqlite"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A committed database of the test's own, for workers and test alike; once PostgreSQL, once SQLite."""
    blocker = request.getfixturevalue("django_db_blocker")
    own = Database.copied(
        request.param,
        template=request.getfixturevalue(f"{request.param}_template"),
        directory=request.getfixturevalue("tmp_path"),
    )
    with blocker.unblock(), default_database_at(own.url):
        yield own
    own.drop()
