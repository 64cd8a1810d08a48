"""Valkey, from the wheel that `make up` runs too."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from project.embedded import valkey
from tests.servers.base import Server


class Valkey(Server):
    """A Valkey server; without `persist` a stop or a kill wipes it, like a cache or a broker without a disk."""

    name = "valkey"

    def __init__(self, directory: Path, *, persist: bool = False) -> None:
        super().__init__(directory)
        self.persist = persist
        #: Socket time-outs, so that a paused server fails a test rather than hanging it.
        self.client: redis.Redis = redis.Redis(
            port=self.port, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0)
        )

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return valkey.command(port=self.port, directory=self.directory, persist=self.persist)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        super().kill()
        self.client.close()

    def flush(self) -> None:
        """Forget everything, as a wiped broker does."""
        self.client.flushall()
