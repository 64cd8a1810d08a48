"""`manage.py jobs …`: see and steer jobs from a terminal or a script."""

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Verb
from jobs.cli.verbs import NOUNS, VERBS

EXIT_CODES = """\
exit codes:
  0  done
  1  not done, or what was asked for is not there; the message says why
  2  the command line is not valid
  3  a change of many was not confirmed
"""


class _Help(RawDescriptionHelpFormatter):
    """Keeps the line breaks of the exit codes."""


class Command(BaseCommand):
    """Hands what follows `jobs` to its verb."""

    help = "Submit, see and steer jobs: list, show, retry, cancel, queues, dead letters, schedules, workers, tokens."
    # A look at the ledger must also work while a deploy has not migrated yet.
    requires_migrations_checks = False
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare every verb."""
        parser.formatter_class = _Help
        parser.epilog = EXIT_CODES
        verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
        nouns: dict[str, Any] = {}
        for verb in VERBS:
            *noun, _ = verb.names
            under = verbs
            if noun:
                if noun[0] not in nouns:
                    nouns[noun[0]] = self._noun(verbs, noun[0])
                under = nouns[noun[0]]
            self._verb(under, verb)

    def _noun(self, verbs: Any, noun: str) -> Any:
        parser = verbs.add_parser(noun, help=NOUNS[noun], description=_sentence(NOUNS[noun]))
        return parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def _verb(self, under: Any, verb: Verb) -> None:
        parser = under.add_parser(
            verb.names[-1],
            help=verb.help,
            description=_sentence(verb.help),
            epilog=f"{verb.more}\n{EXIT_CODES}",
            formatter_class=_Help,
        )
        parser.add_argument("--json", action="store_true", help="print JSON, for scripts")
        verb.add_arguments(parser)
        parser.set_defaults(verb=verb)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb. Raises CommandError, whose exit code says how it failed."""
        out = Output(self.stdout, as_json=options["json"])
        try:
            code = options["verb"].run(options, out)
        except Failed as exc:
            raise CommandError(str(exc), returncode=int(exc.code)) from exc
        except DatabaseError as exc:
            raise CommandError(
                f"The database could not do it: {str(exc).strip()}", returncode=int(Exit.FAILED)
            ) from exc
        except BrokenPipeError:
            # `| head` has seen enough.
            return
        if code is not Exit.DONE:
            raise CommandError("Nothing was changed: what matched has moved on meanwhile.", returncode=int(code))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
