"""A chord with a callback: pages are counted side by side, and one job makes the report of all the counts.

The ledger counts the members: the report is enqueued in the transaction that records the last of them, once, whatever
dies. Where a page cannot be counted there is no report, and whoever waits for it is told; when the page's job is
replayed, the report follows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from celery import chord

from jobs import Permanent, job


def report(pages: Sequence[str], target: str) -> Any:
    """Enqueue the report of some pages; return the result of its last job."""
    body = report_of.s(target).on_error(no_report.si(target))
    return chord([words_in.s(page) for page in pages], body)()


@job(time_limit=60)
def words_in(page: str) -> int:
    """Count the words of a page."""
    try:
        return len(Path(page).read_text().split())
    except FileNotFoundError as exc:
        raise Permanent(f"There is no page {Path(page).name}.") from exc


@job(ignore_result=False)
def report_of(counts: list[int], target: str) -> int:
    """Write the report, whole or not at all; return how many words there are."""
    half = Path(target).with_suffix(".part")
    half.write_text(f"{len(counts)} pages, {sum(counts)} words\n")
    half.replace(target)
    return sum(counts)


@job
def no_report(target: str) -> None:
    """Tell whoever waits for the report that there is none."""
    Path(target).with_suffix(".failed").write_text("A page could not be counted.\n")
