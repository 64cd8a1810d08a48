"""`python -m tests.chaos`: run chaos, print the account, and with `--write` put it into docs/CHAOS.md."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.environment import environment

if TYPE_CHECKING:
    from tests.chaos.plain import PlainStory


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long faults strike (default 120)")
    parser.add_argument("--seed", type=int, default=1, help="the plan of jobs and faults follows from it (default 1)")
    parser.add_argument("--rate", type=float, default=12, help="transactions a second of each of two enqueuers")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--broker", choices=["valkey", "ledger"], default="valkey")
    parser.add_argument("--plain", action="store_true", help="run plain Celery, early and acks_late, under the same")
    parser.add_argument("--write", action="store_true", help="write docs/CHAOS.md")
    parser.add_argument("--keep", action="store_true", help="keep logs and journals, and say where")
    return parser.parse_args()


def main() -> int:
    """Run, print, write. Returns 0 where every promise was kept."""
    arguments = _arguments()
    os.environ.update(environment.variables())
    os.environ["EXTRA_APPS"] = "tests.chaos"
    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    directory = Path(tempfile.mkdtemp(prefix="nightshift-chaos-"))
    try:
        import django  # noqa: PLC0415

        django.setup()
        return _run(arguments, directory)
    finally:
        environment.close()
        if arguments.keep:
            print(f"Logs and journals: {directory}")


def _run(arguments: argparse.Namespace, directory: Path) -> int:
    # Django is set up by now.
    from tests.chaos.report import text, write_document  # noqa: PLC0415
    from tests.chaos.run import run  # noqa: PLC0415
    from tests.chaos.site import Site  # noqa: PLC0415
    from tests.chaos.stage import stage  # noqa: PLC0415

    with (
        stage(arguments.database, arguments.broker, directory) as (database, broker_url),
        Site(database, broker_url, directory, count=arguments.workers) as site,
    ):
        story = run(site, seed=arguments.seed, seconds=arguments.seconds, rate=arguments.rate, tell=_tell)
    plain = _plain(arguments, directory) if arguments.plain else []
    setting = f"{arguments.database} and {arguments.broker}, {arguments.workers} workers"
    print(text(story, setting, plain))
    if arguments.write:
        write_document(story, setting, plain)
    return 0 if story.is_clean else 1


def _plain(arguments: argparse.Namespace, directory: Path) -> "list[PlainStory]":
    from tests.chaos.plain import run  # noqa: PLC0415

    return [
        run(
            directory / f"plain-{'late' if late else 'early'}",
            late=late,
            seed=arguments.seed,
            seconds=arguments.seconds,
            rate=arguments.rate * 2,
            workers=arguments.workers,
            tell=_tell,
        )
        for late in (False, True)
    ]


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
