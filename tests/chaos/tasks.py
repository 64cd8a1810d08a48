"""Jobs of mixed length and temper. Each writes its beginning and its end to the file of effects."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction

from jobs import Breaker, Permanent, job, progress, step
from tests.chaos.journal import AWAY, EFFECTS, TABLE, write
from tests.chaos.limits import AT_ONCE, BURST, RATE
from tests.chaos.plan import STEPS

#: Longer than a lease (`tests.chaos.site`).
ABSORBED_SECONDS = 7.0

#: What some jobs need.
DEPENDENCY = Breaker("chaos.dependency", failures=3, pause=0.5, longest_pause=2)

#: How many calls it refuses at first, whatever else happens: its breaker opens in the shortest run.
REFUSED = 6


class Trouble(Exception):
    """What failing jobs raise."""


@contextmanager
def _effect(label: str) -> Iterator[None]:
    write(EFFECTS, label, "begin", os.getpid())
    yield
    write(EFFECTS, label, "end", os.getpid())


def _times(label: str) -> int:
    """Return how often this job has begun, by its own count beside the file of effects."""
    path = Path(os.environ[EFFECTS]).with_suffix(".d") / label
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(b".")
        return file.tell()


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def work(label: str, seconds: float) -> None:
    """Take some time."""
    with _effect(label):
        time.sleep(seconds)


@job(queue="chaos.failing", max_retries=20, retry_backoff=0.2, retry_backoff_max=1)
def flaky(label: str, failures: int) -> None:
    """Fail a few times first."""
    if _times(label) <= failures:
        raise Trouble(label)
    with _effect(label):
        pass


@job(queue="chaos.failing", max_retries=1, retry_backoff=0.2)
def broken(label: str) -> None:
    """Fail always."""
    raise Trouble(label)


@job(queue="chaos.failing", max_retries=20, retry_backoff=0.2, retry_backoff_max=1)
def deadly(label: str, deaths: int) -> None:
    """Kill the process, a few times or always."""
    if _times(label) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    with _effect(label):
        pass


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def link(before: str | None, label: str) -> str:
    """Be a link of a chain."""
    with _effect(label):
        return label


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def mourner(label: str) -> None:
    """Be an error link. Celery calls one that takes more than an id in place."""
    with _effect(label):
        pass


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def written(label: str) -> None:
    """Write a row: whoever used the connection before, it must be there when the job has succeeded."""
    with _effect(label), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} (label) VALUES (%s) ON CONFLICT DO NOTHING", [label])  # noqa: S608


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def stepped(label: str) -> None:
    """Write rows, each in a step and its transaction. A step that is done twice fails: then the row is there."""
    for number in range(3):
        with transaction.atomic():
            step(f"row {number}", _insert, f"{label} {number}")
    with _effect(label):
        pass


def _insert(label: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {TABLE} (label) VALUES (%s)", [label])  # noqa: S608


#: What a job may leave behind in its session, so that later ones fail, or lose what they write.
UNTIDY = {
    "postgresql": (
        "BEGIN",
        "SET statement_timeout = 1",
        "SET ROLE pg_read_all_data",
        "SET default_transaction_read_only = on",
        "SET search_path = pg_catalog",
        f"CREATE TEMPORARY TABLE {TABLE} (label text PRIMARY KEY)",
    ),
    "sqlite": ("BEGIN", "PRAGMA query_only = on", f"CREATE TEMPORARY TABLE {TABLE} (label text PRIMARY KEY)"),
}


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def untidy(label: str, how: int) -> None:
    """Leave the session changed or a transaction open, and every other time fail first."""
    with connection.cursor() as cursor:
        if how % 7 == 0:
            transaction.set_autocommit(False)
            cursor.execute(f"INSERT INTO {TABLE} (label) VALUES (%s)", [f"{label} uncommitted"])  # noqa: S608
        else:
            choices = UNTIDY[connection.vendor]
            cursor.execute(choices[how % len(choices)])
    if how % 2 and _times(label) == 1:
        raise Trouble(label)
    with _effect(label):
        pass


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def absorbed(label: str) -> None:
    """Tell of progress inside a transaction that lasts longer than a lease."""
    with _effect(label), transaction.atomic():
        progress(1, 2)
        time.sleep(ABSORBED_SECONDS)
        progress(2, 2)


# --- Flow control and composition -----------------------------------------------------------------


@job(
    queue="chaos",
    max_retries=20,
    retry_backoff=0.3,
    retry_backoff_max=2,
    concurrency=AT_ONCE["slotted"],
    key="key",
)
def slotted(label: str, key: str, seconds: float, gate: str) -> None:
    """Be one of few of its key that run; with a gate, until that opens."""
    with _effect(label):
        _stay(seconds, gate)


@job(queue="chaos.shared", max_retries=20, retry_backoff=0.3, retry_backoff_max=2, tenant="tenant")
def shared(label: str, tenant: str, seconds: float, gate: str) -> None:
    """Be one of few of its queue that run, in turn with other tenants' jobs; with a gate, until that opens."""
    with _effect(label):
        _stay(seconds, gate)


def _stay(seconds: float, gate: str) -> None:
    time.sleep(seconds)
    while gate and not Path(gate).exists():
        time.sleep(0.02)


@job(
    queue="chaos",
    max_retries=20,
    retry_backoff=0.3,
    retry_backoff_max=2,
    rate_limit=f"{RATE}/s",
    burst=BURST,
    key="key",
)
def paced(label: str, key: str) -> None:
    """Be one of few of its key that begin in a second."""
    with _effect(label):
        pass


@job(queue="chaos.failing", max_retries=20, retry_backoff=0.3, retry_backoff_max=2, breaker=DEPENDENCY)
def needy(label: str) -> None:
    """Fail while what it needs is away."""
    is_away = Path(os.environ[EFFECTS]).with_name(AWAY).exists()
    if is_away or _times("dependency") <= REFUSED:
        raise Trouble(label)
    with _effect(label):
        pass


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def member(label: str, failures: int) -> str:
    """Be a chord's member, and fail a few times first."""
    if _times(label) <= failures:
        raise Trouble(label)
    with _effect(label):
        return label


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def gathered(results: list[str], label: str, members: list[str]) -> None:
    """Be a chord's body, and prove that all results are there, in order."""
    if results != members:
        raise Permanent(f"the results are {results}, and not {members}")
    with _effect(label):
        pass


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def journey(label: str) -> None:
    """Do something outside of the database in each of some steps."""
    for number in range(STEPS):
        step(f"step {number}", _walk, f"{label}.{number}")
    with _effect(label):
        pass


def _walk(label: str) -> None:
    with _effect(label):
        time.sleep(0.02)
