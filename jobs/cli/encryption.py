"""`reencrypt`."""

from argparse import ArgumentParser

from django.core.exceptions import ImproperlyConfigured

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, actor
from jobs.operations.bulk import record
from jobs.operations.reencryption import Reencrypted, reencrypt
from jobs.tasks.encryption import has_keys

#: So many rows between two lines about how far it is.
TELL_EVERY = 10_000


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="count what would be written, and write nothing")


def _reencrypt(given: Given, out: Output) -> Exit:
    try:
        if not has_keys():
            raise Failed("JOBS_ENCRYPTION_KEYS holds no key: there is none to write with.")
    except ImproperlyConfigured as exc:
        raise Failed(str(exc)) from None
    dry_run = given["dry_run"]
    found = reencrypt(dry_run=dry_run, tell=_Progress(out).tell)
    written, unreadable = found.written.total(), found.unreadable.total()
    if written and not dry_run:
        record("reencrypt", actor(), dict(found.written), written)
    out.json({"dry_run": dry_run, **_counts(found)})
    tables = [[name, found.seen[name], found.written[name], found.unreadable[name]] for name in found.seen]
    wrote = "would be written>" if dry_run else "written>"
    out.table(["table", "rows>", wrote, "unreadable>"], tables, empty="Nothing is kept.")
    if unreadable:
        raise Failed(
            f"No key in JOBS_ENCRYPTION_KEYS reads {unreadable:,} rows, the first of them in {found.example}: add the"
            " key that wrote them, and run this again. The others are written."
        )
    if passed_by := found.passed_by.total():
        raise Failed(f"{passed_by:,} rows were locked by somebody else's transaction: run this again.")
    return Exit.DONE


def _counts(found: Reencrypted) -> dict[str, dict[str, int]]:
    return {
        "seen": dict(found.seen),
        "written": dict(found.written),
        "unreadable": dict(found.unreadable),
        "passed_by": dict(found.passed_by),
    }


class _Progress:
    """Says how far it is, now and then."""

    def __init__(self, out: Output) -> None:
        self._out, self._told = out, 0

    def tell(self, found: Reencrypted) -> None:
        seen = found.seen.total()
        if seen - self._told >= TELL_EVERY:
            self._told = seen
            self._out.line(f"{seen:,} rows seen, {found.written.total():,} to be written with the first key …")


VERBS = [
    Verb(
        ("reencrypt",),
        "write what tasks encrypt (encrypt=True) with the first of JOBS_ENCRYPTION_KEYS",
        _reencrypt,
        _arguments,
        more="Run it when all processes have the new key in front, and take the old one out when it has succeeded. It"
        " also encrypts what was enqueued or scheduled before a task said encrypt=True. It may be stopped and begun"
        " again.",
    )
]
