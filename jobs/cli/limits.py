"""`flow list`, `flow limit`, `flow reset`, `flow pause`, `flow resume`, `flow weight`."""

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from jobs.cli import filters
from jobs.cli.output import Output
from jobs.cli.verb import Exit, Failed, Given, Verb, actor, nothing
from jobs.core.limits import Kind
from jobs.errors import InvalidRule
from jobs.operations import flow
from jobs.reports.flow import RuleReport, rules
from jobs.reports.report_json import rule_json
from jobs.reports.what_if import what_if

_COLUMNS = ["kind", "name", "rate", "burst>", "at once>", "weight>", "running>", "waiting>", "paused", "said by"]


def _list(given: Given, out: Output) -> Exit:
    found = rules()
    out.json({"rules": [rule_json(rule) for rule in found]})
    out.table(_COLUMNS, [_row(rule) for rule in found], empty="Nothing is limited, paused or weighed.")
    return Exit.DONE


def _row(rule: RuleReport) -> list[Any]:
    return [
        rule.kind,
        rule.name,
        rule.rate,
        rule.burst if rule.rate else None,
        rule.concurrency,
        f"{rule.weight:g}" if rule.weight_words else None,
        rule.running,
        rule.waiting,
        rule.paused_words or None,
        rule.source_words,
    ]


def _target(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=[kind.value for kind in Kind])
    parser.add_argument("name", help="of a key: its task's name, a colon and the key")


def _limit_arguments(parser: ArgumentParser) -> None:
    _target(parser)
    parser.add_argument("--rate", metavar="RATE", help="how many may begin: 100/s, 10/m, 1/h (no such limit)")
    parser.add_argument("--burst", type=int, default=1, help="how many of these may begin at one moment (1)")
    parser.add_argument("--concurrency", type=int, metavar="NUMBER", help="how many may run at once (any number)")


def _limit(given: Given, out: Output) -> Exit:
    def change(kind: Kind, name: str) -> None:
        figures = {"rate": given["rate"], "burst": given["burst"], "concurrency": given["concurrency"]}
        flow.set_limit(kind, name, **figures, actor=actor())

    return _changed(given, out, change, "{} is limited as said, on all workers, until that is reset.")


def _try_arguments(parser: ArgumentParser) -> None:
    _limit_arguments(parser)
    parser.add_argument("--since", type=filters.moment, metavar="WHEN", help="90m, 2d (the last 24 hours)")


def _try(given: Given, out: Output) -> Exit:
    try:
        limit = flow.limit_of(given["rate"], given["burst"], given["concurrency"])
        name = flow.name_of(Kind(given["kind"]), given["name"])
    except InvalidRule as exc:
        raise Failed(str(exc)) from exc
    since = given["since"] or timezone.now() - timedelta(days=1)
    found = what_if(Kind(given["kind"]), name, limit, since)
    out.json(found.as_json())
    out.line(found.words)
    return Exit.DONE


def _reset(given: Given, out: Output) -> Exit:
    def change(kind: Kind, name: str) -> None:
        flow.reset_limit(kind, name, actor=actor())

    return _changed(given, out, change, "{} is limited as code and settings say.")


def add_pause_arguments(parser: ArgumentParser) -> None:
    """Declare what every pause takes."""
    parser.add_argument("--reason", default="", help="why, for whoever wonders")
    parser.add_argument("--until", type=filters.due, metavar="WHEN", help="when it ends: 30m, 06:00, 2026-01-31T06:00Z")


def _pause_arguments(parser: ArgumentParser) -> None:
    _target(parser)
    add_pause_arguments(parser)


def _pause(given: Given, out: Output) -> Exit:
    def change(kind: Kind, name: str) -> None:
        flow.pause(kind, name, actor=actor(), reason=given["reason"], until=given["until"])

    return _changed(given, out, change, "{} is paused: what runs goes on, and nothing begins until it is resumed.")


def _resume(given: Given, out: Output) -> Exit:
    def change(kind: Kind, name: str) -> None:
        flow.resume(kind, name, actor=actor())

    return _changed(given, out, change, "{} goes on.")


def _weight_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("tenant")
    parser.add_argument("weight", type=float, help="so many turns for every one of others; 1 for as many as they")


def _weight(given: Given, out: Output) -> Exit:
    weight = given["weight"]

    def change(kind: Kind, tenant: str) -> None:
        flow.set_weight(tenant, weight, actor=actor())

    said = f"{{}} weighs {weight:g} where others weigh 1, in every queue."
    return _changed({"kind": Kind.TENANT, "name": given["tenant"]}, out, change, said)


def _changed(given: Given, out: Output, change: Callable[[Kind, str], None], said: str) -> Exit:
    kind = Kind(given["kind"])
    try:
        name = flow.name_of(kind, given["name"])
        change(kind, name)
    except InvalidRule as exc:
        raise Failed(str(exc)) from exc
    rule = next((rule for rule in rules() if (rule.kind, rule.name) == (kind, name)), None)
    out.json({"kind": kind.value, "name": name} if rule is None else rule_json(rule))
    out.line(said.format(f"{kind.value.capitalize()} {name}"))
    return Exit.DONE


VERBS = [
    Verb(("flow", "list"), "list limits, pauses and weights, and what waits for each", _list, nothing),
    Verb(("flow", "limit"), "limit a task, queue, key or tenant on all workers", _limit, _limit_arguments),
    Verb(("flow", "try"), "say what a limit would have done to the jobs that have ended lately", _try, _try_arguments),
    Verb(("flow", "reset"), "let a limit be what code and settings say", _reset, _target),
    Verb(("flow", "pause"), "let no job of a task, queue, key or tenant begin", _pause, _pause_arguments),
    Verb(("flow", "resume"), "let jobs begin again that a pause kept from it", _resume, _target),
    Verb(
        ("flow", "weight"),
        "let a tenant have more turns in each queue than others, or less",
        _weight,
        _weight_arguments,
    ),
]
