"""Lists that are shown page by page, the newest first."""

from argparse import ArgumentParser
from typing import TypeVar

from django.db.models import Model, QuerySet

from jobs.cli import filters
from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given
from jobs.operations.paging import InvalidCursor, Page, page

M = TypeVar("M", bound=Model)


def add_page_arguments(parser: ArgumentParser) -> None:
    """Let a page be asked for."""
    parser.add_argument("--limit", type=filters.number(1, 10_000), default=50, help="at most so many (50)")
    parser.add_argument("--cursor", default="", help="where the page before ended, as it said")


def asked_page(rows: QuerySet[M], by: str, given: Given) -> Page[M]:
    """Return the page that is asked for. Raises Failed where the cursor is none."""
    try:
        return page(rows, by, limit=given["limit"], cursor=given["cursor"])
    except InvalidCursor as exc:
        raise Failed(str(exc), Exit.USAGE) from exc


def tell_of_more(next_cursor: str | None, out: Output) -> None:
    """Say how to see the next page, where there is one."""
    if next_cursor:
        out.line(f"There are more: --cursor {next_cursor}")
