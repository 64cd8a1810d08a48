"""The running site: web server, worker, mail catcher, each a process, on a database of the test's own."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from mail.inbox.store import Store
from project.embedded.ports import is_taken
from tests.servers import free_port
from tests.servers.processes import kill_group, spawn, tail
from tests.waiting import wait_for


@dataclass(frozen=True)
class Addresses:
    """Where its parts listen."""

    web: int
    smtp: int


class Site:
    """The web server and the mail catcher; a worker can be started with `environment`."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.ports = Addresses(free_port(), free_port())
        self.inbox = Store(directory / "inbox")
        self.environment = {
            **environment,
            "DEBUG": "true",
            "ALLOWED_HOSTS": "127.0.0.1",
            "FRONTEND_HOST": self.url,
            "INBOX_DIR": str(self.inbox.directory),
            "SMTP_PORT": str(self.ports.smtp),
        }
        python = sys.executable
        self._processes = [
            self._spawn("web", python, "-m", "uvicorn", "project.asgi:application", "--port", str(self.ports.web)),
            self._spawn("catcher", python, "manage.py", "mailcatcher", "--port", str(self.ports.smtp)),
        ]

    @property
    def url(self) -> str:
        """Its front page, without the slash at the end."""
        return f"http://127.0.0.1:{self.ports.web}"

    def _spawn(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        return spawn(command, log=self._log(name), environment=self.environment, directory=settings.BASE_DIR)

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def wait_until_ready(self) -> None:
        """Wait until both listen."""
        wait_for(lambda: is_taken(self.ports.web) and is_taken(self.ports.smtp), 30, what="the site to listen")

    def report(self) -> tuple[str, str]:
        """Return what its processes said, for the report of a failed test."""
        return "site", "\n".join(f"== {name}\n{tail(self._log(name))}" for name in ("web", "catcher"))

    def stop(self) -> None:
        """Kill both."""
        for process in self._processes:
            kill_group(process)
