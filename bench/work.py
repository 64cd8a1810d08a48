"""`python -m bench.work`: measure the site's work beside the naive way, and dead letters; write SITE.md."""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.servers import ROOT

RESULTS = Path(__file__).with_name("SITE.md")

#: The parts: what runs, and what its tables show.
PARTS: Mapping[str, tuple[str, str]] = {
    "Indexing": ("bench.search", """\
Posts enqueued for indexing one by one while the worker (four threads) is held still; then it runs, timed to the last
job's outcome. Beside it the same index and the same function with a job for each document. Then reindexes, each in a
process of its own, whose peak of memory must not grow with the posts. PostgreSQL's full text. The CPU is that of all
processes, and includes reading the messages that batches leave behind.
"""),
    "Storage": ("bench.storage", """\
Objects deleted from SeaweedFS, enqueued while the worker (four threads) is held still. Then sweeps for orphans, each in
a process of its own, whose peak of memory must not grow with the bucket: a tenth of the new objects are orphans.
"""),
    "Sitemap": ("bench.sitemap", """\
All published posts into compressed shards in SeaweedFS, each run in a process of its own: time in proportion to the
posts, memory not.
"""),
    "Mail": ("bench.mail", """\
Over STARTTLS with a login, to an SMTP server on this machine.
"""),
    "Dead letters": ("bench.letters", """\
Jobs that fail, in a process of their own: what giving up takes beside one more retry, its letter with the broker
included. Then letters that one worker's archiver moves from the broker into the table.
"""),
}  # fmt: skip


def main() -> None:
    """Run the parts that the command line asks for; the page keeps what it says of the others."""
    parser = argparse.ArgumentParser(prog="python -m bench.work", description=main.__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="(default: all)")
    options = parser.parse_args()
    sections, failed = _read(), []
    for title in options.only:
        try:
            sections[title] = _measured(title)
        except subprocess.CalledProcessError:
            failed.append(title)
        else:
            RESULTS.write_text(_page(sections))
    if failed:
        sys.exit(f"Not measured: {', '.join(failed)}. The page has what it had.")


def _measured(title: str) -> str:
    module, words = PARTS[title]
    busy = os.getloadavg()[0]
    print(f"{title} …", flush=True)
    result = subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    print(result.stdout, flush=True)
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; load when it began {busy:.1f}."
    return f"{words.strip()}\n{when}\n\n{result.stdout.strip()}\n"


def _read() -> dict[str, str]:
    """Return the sections of the page that is there."""
    if not RESULTS.exists():
        return {}
    _, *sections = RESULTS.read_text().split("\n## ")
    return {title: text.strip() + "\n" for title, _, text in (section.partition("\n") for section in sections)}


def _page(sections: Mapping[str, str]) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "django", "psycopg", "boto3"))
    introduction = (
        "# The site's work, measured\n\n"
        "What `make bench` wrote, beside the naive way in the same run; medians. PostgreSQL with every commit on the"
        f" disk, Valkey, SeaweedFS, all on this machine: {os.cpu_count()} cores, {platform.system()}"
        f" {platform.machine()}, Python {platform.python_version()}; {packages}. A load above the number of cores means"
        " that other work ran beside it.\n"
    )
    return "\n".join([introduction, *(f"## {title}\n\n{sections[title]}" for title in PARTS if title in sections)])


if __name__ == "__main__":
    main()
