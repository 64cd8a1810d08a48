"""/livez and /readyz: who is well, who is not, and that asking costs little."""

import asyncio
import threading
import time

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from jobs.observability.health import Dependency, NotReady
from tests.servers import Postgres, Valkey
from tests.servers.ports import free_port
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("no_answer_is_remembered")


def state(*dependencies: Dependency) -> list[dict[str, object]]:
    """Ask dependencies as `/readyz` does."""

    async def ask() -> list[dict[str, object]]:
        return await asyncio.gather(*(dependency.state() for dependency in dependencies))

    return asyncio.run(ask())


def test_a_dependency_that_works_says_how_long_it_took() -> None:
    [answer] = state(Dependency("a", lambda: None))
    assert answer["ok"] is True
    assert isinstance(answer["milliseconds"], float)


def test_an_error_is_named_but_its_text_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OperationalError("no password for user hush")

    assert state(Dependency("a", fail)) == [{"ok": False, "error": "OperationalError"}]
    assert "a is not ready: no password for user hush" in caplog.text


def test_what_a_check_says_itself_is_shown() -> None:
    def complain() -> None:
        raise NotReady("two migrations are not applied")

    assert state(Dependency("a", complain)) == [{"ok": False, "error": "two migrations are not applied"}]


def test_an_answer_is_good_for_a_moment() -> None:
    asked: list[int] = []
    lasting, fleeting = (Dependency("a", lambda: asked.append(1), fresh_seconds=seconds) for seconds in (60.0, 0.0))
    assert state(lasting)[0] == state(lasting)[0]
    assert len(asked) == 1
    state(fleeting)
    state(fleeting)
    assert len(asked) == 3


def test_dependencies_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=5)

    def meet() -> None:
        together.wait()

    answers = state(*(Dependency(name, meet) for name in "abc"))
    assert [answer["ok"] for answer in answers] == [True, True, True]


def test_a_dependency_that_hangs_costs_its_timeout_and_one_thread_however_often_it_is_asked() -> None:
    released, asked = threading.Event(), []

    def hang() -> None:
        asked.append(1)
        released.wait(10)

    dependency = Dependency("a", hang, timeout_seconds=0.1)
    began = time.monotonic()
    answers = state(dependency, dependency) + state(dependency)
    # Not until it answers, or one after the other.
    assert time.monotonic() - began < 5
    assert answers == [{"ok": False, "error": "no answer within 0.1 s"}] * 3
    assert len(asked) == 1

    released.set()
    assert wait_for(lambda: state(dependency)[0]["ok"])


@pytest.mark.django_db(transaction=True)
def test_readyz_is_green_when_all_is_well(client: Client, valkey: Valkey) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200, response.content
    assert response["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    answer = response.json()
    assert answer["status"] == "ok"
    assert set(answer["checks"]) == {"database", "migrations", "broker", "redis"}


@pytest.mark.django_db(transaction=True)
def test_readyz_names_a_broker_that_is_gone_and_livez_does_not_care(client: Client, valkey: Valkey) -> None:
    valkey.kill()
    response = client.get("/readyz")
    assert response.status_code == 503
    checks = response.json()["checks"]
    assert {name for name, check in checks.items() if not check["ok"]} == {"broker", "redis"}
    assert client.get("/livez").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_readyz_is_not_red_for_a_redis_that_only_holds_counts(
    client: Client, valkey: Valkey, settings: Settings
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    response = client.get("/readyz")
    assert response.status_code == 200
    answer = response.json()
    assert answer["status"] == "degraded"
    assert answer["checks"]["redis"] == {"ok": False, "error": "ConnectionError"}


@pytest.mark.django_db(transaction=True)
def test_what_is_excluded_is_not_asked(client: Client, valkey: Valkey) -> None:
    valkey.kill()
    response = client.get("/readyz?exclude=broker&exclude=redis")
    assert response.status_code == 200
    assert set(response.json()["checks"]) == {"database", "migrations"}


def test_an_unknown_exclusion_is_refused_with_the_names_there_are(client: Client) -> None:
    response = client.get("/readyz?exclude=brokr")
    assert response.status_code == 400
    assert response.json()["error"] == (
        "exclude='brokr' is not valid: it must be one of database, migrations, broker, redis."
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres_only
def test_readyz_answers_in_time_when_the_database_hangs(client: Client, valkey: Valkey, postgres: Postgres) -> None:
    assert client.get("/readyz").status_code == 200
    postgres.pause()
    began = time.monotonic()
    response = client.get("/readyz?exclude=migrations")
    # Its own three seconds, not those after which a connection is given up.
    assert time.monotonic() - began < 10
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == {"ok": False, "error": "no answer within 3 s"}
    postgres.resume()
    assert wait_for(lambda: client.get("/readyz").status_code == 200)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_asked_for_not_told(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
