"""`group`."""

from argparse import ArgumentParser

from jobs.cli import filters
from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb
from jobs.reports.groups import report
from jobs.reports.report_json import group_json


def _group_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("id", type=filters.key, help="the group's id")


def _group(given: Given, out: Output) -> Exit:
    found = report(given["id"])
    if found is None:
        raise Failed(f"There is no group {given['id']}. It may have been pruned, or its transaction rolled back.")
    shown = group_json(found)
    out.json(shown)
    states = ", ".join(f"{number:,} {state}" for state, number in found.states.items() if number)
    follows = ", ".join(f"{role} {task}" for role, task in found.callbacks)
    out.pairs([*{**shown, "states": states, "follows": follows}.items()])
    return Exit.DONE


_CHOOSING = """\
`list --group ID` lists its members, `retry --group ID --state dead` retries those that died, and `cancel --group ID`
cancels those that have not ended.
"""

VERBS = [
    Verb(
        ("group",), "show a group of jobs: its members by state, and what follows", _group, _group_arguments, _CHOOSING
    )
]
