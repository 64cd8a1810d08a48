"""What Flower shows of our jobs, from Celery's events: the truth, and only to who has logged in."""

import base64
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.db import transaction

from jobs.ledger import operate
from tests.acceptance.worker import Worker
from tests.brokers.flower import Flower
from tests.tasks_app import tasks
from tests.waiting import NotInTime, wait_for

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.parametrize("database", ["postgres"], indirect=True),
    pytest.mark.postgres_only,
]
#: Seconds that no test waits for.
FAR = 3600


def fates(tmp_path: Path) -> dict[str, tuple[Any, str]]:
    """Enqueue a job of every fate: what it is called here, and what Flower must say in the end."""
    return {
        "succeeds": (tasks.note.delay("noted"), "SUCCESS"),
        "is tried again and succeeds": (tasks.flaky.delay("flaky", failures=1), "SUCCESS"),
        "waits for its next attempt": (tasks.steer.delay("retry because", countdown=FAR), "RETRY"),
        "was put off": (tasks.steer.delay("snooze", seconds=FAR), "RETRY"),
        "gave up": (tasks.broken.delay("broken"), "FAILURE"),
        "gave up after retries": (tasks.overlong.delay("long", str(tmp_path / "never")), "FAILURE"),
        "lost its process": (tasks.leaving.delay("left"), "FAILURE"),
        "cancelled itself": (tasks.steer.delay("cancel"), "REVOKED"),
        "was cancelled before it began": (cancelled(), "REVOKED"),
        "was ignored": (tasks.steer.delay("ignore"), "SUCCESS"),
        **{f"is number {number} of a batch": (tasks.gathered.delay(f"{number}"), "SUCCESS") for number in range(5)},
    }


def cancelled() -> Any:
    """Enqueue a job and cancel it; its message goes out all the same."""
    with transaction.atomic():
        result = tasks.note.delay("not wanted")
        operate.cancel([result.job.pk], "not wanted")
    return result


def states(flower: Flower, jobs: dict[str, Any]) -> dict[str, str | None]:
    """Return what Flower says of jobs."""
    seen = flower.ask("tasks?limit=1000")
    return {fate: seen.get(job.id, {}).get("state") for fate, job in jobs.items()}


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_flower_says_what_became_of_each_job(
    start_worker: Callable[..., Worker], worker_environment: dict[str, str], tmp_path: Path, pool: str
) -> None:
    with Flower(tmp_path, worker_environment) as flower:
        # So many threads that one that hangs does not make the worker renew itself.
        worker = start_worker(pool=pool, concurrency=6, options=["--task-events"])
        wait_for(lambda: f"{worker.name}@test" in flower.ask("workers?refresh=1"), 30)
        enqueued = fates(tmp_path)
        jobs, wanted = ({fate: pair[number] for fate, pair in enqueued.items()} for number in (0, 1))
        with suppress(NotInTime):
            wait_for(lambda: states(flower, jobs) == wanted, 30)
        assert states(flower, jobs) == wanted


def test_flower_lets_nobody_in_without_the_login(worker_environment: dict[str, str], tmp_path: Path) -> None:
    with Flower(tmp_path, {**worker_environment, "FLOWER_BASIC_AUTH": "admin:hush"}) as flower:
        address = f"http://127.0.0.1:{flower.port}/"
        for login in ("", "admin:wrong"):
            with pytest.raises(HTTPError, match="401"):
                urlopen(asking(address, login))  # noqa: S310
        with urlopen(asking(address, "admin:hush")) as answer:  # noqa: S310
            assert answer.status == 200


def asking(address: str, login: str) -> Request:
    """Return a request with a login."""
    digest = base64.b64encode(login.encode()).decode()
    return Request(address, headers={"Authorization": f"Basic {digest}"} if login else {})  # noqa: S310
