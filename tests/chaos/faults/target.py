"""What faults need of the system they strike: ours, or plain Celery's."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.acceptance.worker import Worker
from tests.chaos.later import Later
from tests.chaos.odd import OddMessages
from tests.chaos.proxy import Proxy
from tests.databases import Database


class Target(Protocol):
    """A running system."""

    broker_url: str
    #: Where its journals are.
    directory: Path
    proxies: dict[str, Proxy]
    #: What ends by itself while other faults strike.
    later: Later
    #: The messages that nobody asked for, and what became of them.
    odd: OddMessages

    @property
    def database(self) -> Database | None:
        """The database, where it is one that faults may strike."""

    def any_worker(self, rng: random.Random) -> Worker | None:
        """Return one of the workers that run."""

    def start_older_worker(self) -> Worker | None:
        """Start a worker with older code, where this system has code of two ages."""


#: Does it, and says so in a few words; says nothing where there was nothing to strike.
Fault = Callable[[Target, random.Random], str]
