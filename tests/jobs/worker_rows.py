"""Entries of workers for tests, as they write them themselves."""

import uuid
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.models import Worker


def worker(*, silent: bool = False, **changes: Any) -> Worker:
    """Write the entry of a worker that is there, or of one that fell silent."""
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "name": "worker@test",
        "host": "test",
        "pid": 4711,
        "queues": ["default"],
        "pool": "prefork",
        "concurrency": 4,
        "seen_at": timezone.now() - timedelta(minutes=5 if silent else 0),
        "running": 2,
        "memory_bytes": 300 * 1024**2,
        "connections": {
            "broker": {"state": "connected", "reconnects": 1},
            "database": {"state": "connected"},
        },
    }
    return Worker.objects.create(**{**values, **changes})
