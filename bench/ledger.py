"""`python -m bench.ledger`: lists and searches in a ledger of a million jobs; writes LEDGER.md."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import rows
from bench.lookups import CASES, TIMES
from bench.servers import Servers, circumstances, scratch
from bench.site import measured

RESULTS = Path(__file__).with_name("LEDGER.md")

INTRODUCTION = """# Lists and searches in a large ledger

What `python -m bench.ledger`, a part of `make bench`, measured. Requests go through Django's test client, in a process
of their own: middleware, authentication, the database and the writing of the answer count, the network does not. Each
is asked once without being timed, then {times} times.

What no index answers is looked for from the newest job back, for a bounded time. "Looked back" says how many days of
the ledger's seven the first page covers; its cursor goes on from there. Empty: all of it.
"""


def main() -> None:
    """Fill a ledger, ask, print and write a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=main.__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000, help="in the ledger (default: %(default)s)")
    parser.add_argument("--output", default=str(RESULTS), help="where the page goes; empty: nowhere else than here")
    options = parser.parse_args()
    with scratch() as directory, Servers(directory) as servers:
        servers.execute(rows.JOBS.format(count=options.jobs))
        # As it is after a week: without it each look at an index goes on to the rows.
        servers.execute("VACUUM ANALYZE jobs_job")
        variables = {**servers.environment(), "JOBS_API_REQUESTS_PER_MINUTE": "1000000"}
        took = json.loads(measured("bench.lookups:ask_everything", variables).result)
        page = report(took, options.jobs, servers.versions())
    if options.output:
        Path(options.output).write_text(page)
    print(page)


def report(took: Sequence[Mapping[str, Any]], jobs: int, versions: Sequence[str]) -> str:
    """Return the page."""
    table = ["| | median ms | worst ms | rows | looked back |", "|---|---:|---:|---:|---:|"]
    for case, figures in zip(CASES, took, strict=True):
        seconds, days = figures["seconds"], figures["days"]
        reach = "" if days is None else f"{days:.1f} days"
        table.append(
            f"| {case.title} | {median(seconds) * 1000:.0f} | {max(seconds) * 1000:.0f} | {figures['rows']} | {reach} |"
        )
    when = f"{circumstances(versions)}; {jobs:,} jobs."
    return "\n\n".join([INTRODUCTION.format(times=TIMES).strip(), when, "\n".join(table)]) + "\n"


if __name__ == "__main__":
    main()
