"""`manage.py mailcatcher`: the mail server of development."""

import asyncio
import os
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mail.inbox.catcher import conversation
from mail.inbox.store import Store


class Command(BaseCommand):
    """Catches every mail until it is stopped by SIGINT or SIGTERM."""

    help = "Take every mail by SMTP, deliver none, and keep them for the inbox page."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define the options."""
        parser.add_argument(
            "--host",
            default="127.0.0.1",
            help="address to listen on (default: %(default)s)",
        )
        parser.add_argument(
            "--port",
            type=int,
            default=1025,
            help="port to listen on (default: %(default)s)",
        )
        parser.add_argument(
            "--keep",
            type=int,
            default=500,
            help="how many mails to keep (default: %(default)s)",
        )

    def handle(self, *args: Any, host: str, port: int, keep: int, **options: Any) -> None:
        """Listen until told to stop."""
        if not settings.INBOX_DIR:
            raise CommandError("There is no inbox to put mails into: set INBOX_DIR, or DEBUG=1.")
        if keep < 1:
            raise CommandError(f"--keep {keep} is not valid: it must be at least 1.")
        try:
            asyncio.run(self._serve(Store(Path(settings.INBOX_DIR), keep), host, port))
        except OSError as exc:
            raise CommandError(f"Cannot listen on {host}:{port}: {os.strerror(exc.errno or 0)}.") from exc

    async def _serve(self, store: Store, host: str, port: int) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        server = await loop.create_server(lambda: conversation(store), host, port)
        self.stdout.write(f"Catching mail on {host}:{port} into {store.directory}")
        self.stdout.flush()
        await stopped.wait()
        # Not waiting for its connections: workers keep theirs open for as long as it suits them.
        server.close()
