"""`manage.py orphans`: counts the objects that nothing refers to, and on request has them removed."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from storage.errors import StorageError
from storage.tasks import sweep_all, sweep_orphans


class Command(BaseCommand):
    """See `help`."""

    help = "Count the objects in the stores that nothing refers to. With --delete, enqueue the job that removes them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the one option."""
        parser.add_argument("--delete", action="store_true", help="enqueue storage.orphans instead of counting")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, or enqueue."""
        if options["delete"]:
            self.stdout.write(f"Enqueued storage.orphans as job {sweep_orphans.delay().id}.")
            return
        try:
            reports, errors = sweep_all(dry_run=True)
        except StorageError as exc:
            raise CommandError(str(exc)) from exc
        for report in reports:
            self.stdout.write(f"{report}.")
        if errors:
            raise CommandError(" ".join(map(str, errors)))
