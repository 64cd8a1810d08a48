"""The mail catcher, as a process."""

import os
import signal
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from mail.inbox.store import Store
from tests import forks
from tests.servers import free_port
from tests.servers.processes import kill_group, tail
from tests.waiting import wait_for

#: One that production takes.
KEY = "only-for-this-test-" * 3


class Catcher:
    """A mail catcher in a process of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self.log = directory / "catcher.log"
        self.store = Store(directory / "inbox")
        command = ("manage", "mailcatcher", "--port", str(self.port), *options)
        self.process = forks.python(*command, log=self.log, environment={"INBOX_DIR": str(self.store.directory)})
        wait_for(self.listens, 20, what="the mail catcher to listen")

    def listens(self) -> bool:
        assert self.process.poll() is None, tail(self.log)
        return "Catching mail on" in tail(self.log)


@pytest.fixture
def catcher(tmp_path: Path) -> Iterator[Catcher]:
    catcher = Catcher(tmp_path, "--keep", "3")
    yield catcher
    kill_group(catcher.process)


def message(text: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Hello"
    message.set_content(text)
    return message


def test_it_keeps_what_it_catches_and_ends_on_sigterm(catcher: Catcher) -> None:
    with smtplib.SMTP("127.0.0.1", catcher.port) as client:
        for number in range(5):
            client.send_message(
                message(f"mail {number}"), "night@example.com", ["jane@example.com", "josé@example.com"]
            )
        ids = catcher.store.ids()
        assert len(ids) == 3
        newest = catcher.store.read(ids[0]).decode()
        assert newest.startswith("Return-Path: <night@example.com>\r\nDelivered-To: jane@example.com\r\n")
        assert "Delivered-To: josé@example.com" in newest
        assert "mail 4" in newest
        # With a client still connected, as a worker always is.
        catcher.process.send_signal(signal.SIGTERM)
        assert catcher.process.wait(5) == 0


@pytest.mark.parametrize(
    "options,environment,said",
    [
        (["--keep", "0"], {}, "--keep 0 is not valid: it must be at least 1."),
        (
            [],
            {"INBOX_DIR": "", "DEBUG": "false", "PLAYGROUND": "false", "SECRET_KEY": KEY},
            "There is no inbox to put mails into: set INBOX_DIR, or DEBUG=1.",
        ),
    ],
)
def test_what_cannot_work_is_said_in_one_line(options: list[str], environment: dict[str, str], said: str) -> None:
    result = forks.run("manage.py", "mailcatcher", *options, environment={**os.environ, **environment})
    assert result.returncode == 1
    assert result.stderr.strip() == f"CommandError: {said}"


def test_a_busy_port_is_named(catcher: Catcher) -> None:
    result = forks.run("manage.py", "mailcatcher", "--port", str(catcher.port), environment=os.environ)
    assert result.stderr.strip() == f"CommandError: Cannot listen on 127.0.0.1:{catcher.port}: Address already in use."
