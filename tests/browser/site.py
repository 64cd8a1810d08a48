"""The running site: web server and mail catcher, each a process; a worker can be started beside them."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from mail.inbox.store import Store
from project.embedded.ports import is_taken
from tests.servers import free_port
from tests.servers.processes import kill_group, spawn, tail
from tests.waiting import wait_for


class Site:
    """The web server and, unless nobody mails, the mail catcher; a worker can be started with `environment`."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *, mails: bool = True) -> None:
        self.directory = directory
        self.inbox = Store(directory / "inbox")
        self._ports = {"web": free_port()} | ({"catcher": free_port()} if mails else {})
        self.environment = {
            **environment,
            "DEBUG": "true",
            "ALLOWED_HOSTS": "127.0.0.1",
            "FRONTEND_HOST": self.url,
            "INBOX_DIR": str(self.inbox.directory),
            "SMTP_PORT": str(self._ports.get("catcher", 1)),
        }
        self._processes = [self._spawn(name, *self._command(name)) for name in self._ports]

    @property
    def url(self) -> str:
        """Its front page, without the slash at the end."""
        return f"http://127.0.0.1:{self._ports['web']}"

    def _command(self, name: str) -> list[str]:
        program = {"web": ["-m", "project.web"], "catcher": ["manage.py", "mailcatcher"]}
        return [sys.executable, *program[name], "--port", str(self._ports[name])]

    def _spawn(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        return spawn(command, log=self._log(name), environment=self.environment, directory=settings.BASE_DIR)

    def _log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def wait_until_ready(self) -> None:
        """Wait until all of it listens."""
        wait_for(lambda: all(map(is_taken, self._ports.values())), 60, what="the site to listen")

    def report(self) -> tuple[str, str]:
        """Return what its processes said, for the report of a failed test."""
        return "site", "\n".join(f"== {name}\n{tail(self._log(name))}" for name in self._ports)

    def stop(self) -> None:
        """Kill it."""
        for process in self._processes:
            kill_group(process)
