"""A real Flower, to be asked over HTTP."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from tests import forks
from tests.servers import free_port
from tests.servers.processes import kill_group, tail
from tests.waiting import wait_for


class Flower:
    """`celery -A project flower`, whose API needs no login."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.port = free_port()
        self.log = directory / "flower.log"
        self._environment = {**environment, "FLOWER_UNAUTHENTICATED_API": "true"}
        self._process: forks.Fork | None = None

    def __enter__(self) -> Self:
        command = ["celery", "--app", "project", "flower", f"--port={self.port}", "--address=127.0.0.1"]
        self._process = forks.python(*command, log=self.log, environment=self._environment)
        wait_for(self._answers, 40, what="Flower to answer")
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._process is not None:
            kill_group(self._process)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(self, path: str) -> Any:
        """Return the answer to a question of its API."""
        with urlopen(f"http://127.0.0.1:{self.port}/api/{path}", timeout=10) as answer:
            return json.load(answer)

    def tell(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Do what a button of its pages does."""
        request = Request(
            f"http://127.0.0.1:{self.port}/api/{path}", data=json.dumps(body or {}).encode(), method="POST"
        )
        with urlopen(request, timeout=20) as answer:  # noqa: S310
            return json.load(answer)

    def report(self) -> tuple[str, str]:
        """Tell of it in a failed test's report."""
        return "log of Flower", tail(self.log)
