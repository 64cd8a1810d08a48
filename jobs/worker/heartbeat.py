"""The heartbeats of workers: each writes down every few seconds that it is there, what it does, how it is connected.

The write is also how a worker learns that the ledger cannot be written: disk full, database read-only or gone.
"""

import os
import socket
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models.functions import Now

from jobs.enqueue.publishers import PublishesJobs
from jobs.models import Worker
from jobs.worker import counters

if TYPE_CHECKING:
    from jobs.worker.redis_link import RedisLink

#: Seconds between two entries, and after how many without one a worker counts as gone.
EVERY = 5.0
GONE_AFTER = 20.0

#: Entries of workers that are gone are kept this long, in seconds, for whoever asks what ran last night.
KEPT = 24 * 3600

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Heartbeat:
    """This worker's entry. Its id is made at start: two workers under one name are two entries."""

    def __init__(self, worker: Any, publisher: PublishesJobs) -> None:
        self.id = uuid.uuid4()
        self._worker = worker
        self._publisher = publisher
        self._pauses = worker.consumer.pauses
        self._redis = _redis_link()
        self._entries = 0
        #: How often the database came back.
        self.database_reconnects = 0

    def sign(self) -> bool:
        """Write that this worker is there."""
        values = {
            "seen_at": Now(),
            "queues": sorted(self._pauses.queues),
            "running": len(self._worker.consumer.engine.reserved.running()),
            "memory_bytes": sum(_resident(pid) for pid in [os.getpid(), *self._children()]),
            "connections": self._connections(),
            "counters": counters.counts(),
        }
        if not Worker.objects.filter(pk=self.id).update(**values):
            Worker.objects.create(pk=self.id, **self._standing(), **values)
        self._entries += 1
        if self._entries % 100 == 1:
            Worker.objects.filter(seen_at__lt=Now() - timedelta(seconds=KEPT)).delete()
        return False

    def leave(self) -> None:
        """Write that this worker has stopped in order."""
        if self._redis:
            self._redis.close()
        Worker.objects.filter(pk=self.id).update(stopped_at=Now(), running=0)

    def _standing(self) -> dict[str, Any]:
        pool = self._worker.pool_cls
        return {
            "name": self._worker.hostname,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": (pool if isinstance(pool, str) else pool.__module__).rsplit(".", 1)[-1],
            "concurrency": self._worker.concurrency or 0,
        }

    def _connections(self) -> dict[str, Any]:
        consumer = self._worker.consumer
        connected = consumer.connection is not None and consumer.connection.connected
        refused = self._publisher.set_aside.errors()
        return {
            "broker": {
                "state": "connected" if connected else "refused" if consumer.refusal else "reconnecting",
                "attempts": consumer.connection_attempts,
                "reconnects": max(0, consumer.restart_count),
                **({"reason": consumer.refusal} if consumer.refusal else {}),
            },
            "consumer": self._pauses.report(),
            "publisher": {
                "state": "connected" if not self._publisher.failures else "reconnecting",
                "attempts": self._publisher.failures,
                **({"refused": refused} if refused else {}),
            },
            # Whoever reads this was told by it.
            "database": {"state": "connected", "reconnects": self.database_reconnects},
            **({"redis": self._redis.look()} if self._redis else {}),
        }

    def _children(self) -> list[int]:
        processes = getattr(getattr(self._worker.pool, "_pool", None), "_pool", None) or []
        return [process.pid for process in processes if isinstance(getattr(process, "pid", None), int)]


def _redis_link() -> "RedisLink | None":
    if not settings.REDIS_URL:
        return None
    # The client for Redis comes with it, which processes without Redis do not load.
    from jobs.worker.redis_link import RedisLink  # noqa: PLC0415

    return RedisLink(settings.REDIS_URL)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        # No /proc on this system, or the process has just ended.
        return 0
