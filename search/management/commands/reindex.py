"""`manage.py reindex posts users`: enqueue the jobs that build indexes anew."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from search.documents import kind, kinds
from search.errors import SearchError
from search.tasks import reindex


class Command(BaseCommand):
    """Enqueue a reindex."""

    help = "Build search indexes anew, beside the live ones, and swap them in. Enqueues a job for each."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the names of indexes."""
        names = ", ".join(kind.index for kind in kinds())
        parser.add_argument("indexes", nargs="*", metavar="INDEX", help=f"which ({names}); all where none is named")

    def handle(self, *args: Any, **options: Any) -> None:
        """Enqueue and say under which ids."""
        try:
            chosen = [kind(name) for name in options["indexes"]] or kinds()
        except SearchError as exc:
            raise CommandError(str(exc)) from exc
        for one in chosen:
            result = reindex.delay(one.index)
            self.stdout.write(f"{one.index}: job {result.id}; see manage.py jobs show {result.id}")
