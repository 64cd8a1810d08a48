"""Health: `/livez` says that this process answers, `/readyz` whether what it depends on does.

Each dependency is asked at the same time as the others, in a thread of its own, and by one asker at a time: a
dependency that hangs costs a probe its time-out and the process one thread, however often it is probed. An answer is
good for a second.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock, Thread

import redis
from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.enqueue.brokers import urls

logger = logging.getLogger(__name__)

#: How long a probe waits for a dependency. Orchestrators themselves give a probe little more.
TIMEOUT_SECONDS = 3.0

#: How long an answer is given again: however many probe, each dependency is asked so often at most.
FRESH_SECONDS = 1.0


class NotReady(Exception):
    """Raised by a check that got an answer and did not like it; the message is shown to whoever asks."""


@dataclass
class Dependency:
    """Something this process uses, and how to ask whether it works: `ask` returns, or raises.

    Where it is not `needed`, the process does its work without it, if less well.
    """

    name: str
    ask: Callable[[], None]
    needed: bool = True
    timeout_seconds: float = TIMEOUT_SECONDS
    fresh_seconds: float = FRESH_SECONDS
    #: To come: how many seconds it took.
    _answer: "Future[float] | None" = None
    _asked_at: float = 0.0
    _lock: Lock = field(default_factory=Lock)

    async def state(self) -> dict[str, object]:
        """Return what `/readyz` says of it."""
        try:
            answer = asyncio.shield(asyncio.wrap_future(self._question()))
            seconds = await asyncio.wait_for(answer, self.timeout_seconds)
        except TimeoutError:
            return self._failed(f"no answer within {self.timeout_seconds:g} s")
        except NotReady as exc:
            return self._failed(str(exc))
        except Exception as exc:  # noqa: BLE001  Whatever is wrong with it, the others must be reported too.
            logger.warning("%s is not ready: %s", self.name, exc)
            # Its text may hold addresses and user names; the log has it.
            return self._failed(type(exc).__name__)
        return {"ok": True, "milliseconds": round(seconds * 1000, 1)}

    def _question(self) -> "Future[float]":
        """Return the answer of a moment ago, or to come of the question that is being asked, or ask it."""
        with self._lock:
            now = time.monotonic()
            if self._answer is None or (self._answer.done() and now - self._asked_at >= self.fresh_seconds):
                self._answer, self._asked_at = Future(), now
                # No pool: the interpreter waits at its end for a pool's threads, and this one may hang.
                Thread(target=self._put, args=(self._answer,), name=f"readyz-{self.name}", daemon=True).start()
            return self._answer

    def _put(self, answer: "Future[float]") -> None:
        try:
            began = time.perf_counter()
            self.ask()
            answer.set_result(time.perf_counter() - began)
        except BaseException as exc:  # noqa: BLE001  The asker gets it.
            answer.set_exception(exc)

    @staticmethod
    def _failed(reason: str) -> dict[str, object]:
        return {"ok": False, "error": reason}


def ask_database() -> None:
    """Run a statement, on a connection of its own."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connection.close()


_migrated = False


def ask_migrations() -> None:
    """Raise NotReady while the code is ahead of the database; what was applied once stays so."""
    global _migrated  # noqa: PLW0603  One process, one answer.
    if _migrated:
        return
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()
    if missing:
        raise NotReady(f"{len(missing)} migrations are not applied: run `manage.py migrate`")
    _migrated = True


def ask_broker() -> None:
    """Open a connection to each broker, as a dispatcher would."""
    for url in urls(current_app):
        with current_app.connection_for_write(url) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=TIMEOUT_SECONDS)


def ask_redis() -> None:
    """Ping what holds shared state, if there is one."""
    if not settings.REDIS_URL:
        return
    with redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        client.ping()


DEPENDENCIES = [
    Dependency("database", ask_database),
    Dependency("migrations", ask_migrations),
    Dependency("broker", ask_broker),
    # It holds counts; without it nobody is kept out, and nothing is lost.
    Dependency("redis", ask_redis, needed=False),
]


@never_cache
@require_safe
async def livez(request: HttpRequest) -> JsonResponse:
    """Answer. A process that cannot is to be restarted; one whose database is away is not."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
async def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 where every dependency that is needed works, else 503.

    `?exclude=broker` leaves one out, and may be repeated. Where nothing but what is not needed fails, the status is
    "degraded".
    """
    excluded = set(request.GET.getlist("exclude"))
    unknown = excluded - {dependency.name for dependency in DEPENDENCIES}
    if unknown:
        known = ", ".join(dependency.name for dependency in DEPENDENCIES)
        return JsonResponse(
            {"status": "error", "error": f"exclude={unknown.pop()!r} is not valid: it must be one of {known}."},
            status=400,
        )
    asked = [dependency for dependency in DEPENDENCIES if dependency.name not in excluded]
    states = await asyncio.gather(*(dependency.state() for dependency in asked))
    ready = all(state["ok"] for dependency, state in zip(asked, states, strict=True) if dependency.needed)
    whole = all(state["ok"] for state in states)
    return JsonResponse(
        {
            "status": "ok" if whole else "degraded" if ready else "failing",
            "checks": {dependency.name: state for dependency, state in zip(asked, states, strict=True)},
        },
        status=200 if ready else 503,
    )
