"""Pages made of the code: options, states, commands, requests, metrics. They cannot say anything else than it does."""

import argparse
import inspect
import os
import re
from collections.abc import Iterator, Sequence

import django

os.environ |= {"DEBUG": "true", "DATABASE_URL": "sqlite://:memory:", "BROKER_URL": "ledger://", "EXTRA_APPS": ""}
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
# Help is as wide as the terminal, which a page is not.
os.environ["COLUMNS"] = "100"
django.setup()

from django.core.management import call_command  # noqa: E402 (the settings come first)

from jobs.api.urls import api  # noqa: E402
from jobs.core import held_by, outcome, states  # noqa: E402
from jobs.management.commands.jobs import Command  # noqa: E402
from jobs.metrics.families import families  # noqa: E402
from jobs.tasks import declare  # noqa: E402
from jobs.tasks.task import JobTask  # noqa: E402
from jobs.tasks.typed import CallOptions, ManyOptions  # noqa: E402


def pages() -> dict[str, str]:
    """Return every page, by its path on the site."""
    made = {"options": options, "states": of_states, "commands": commands, "api": requests, "metrics": metrics}
    return {f"reference/{name}.md": make() for name, make in made.items()}


# --- Options of tasks and calls -------------------------------------------------------------------


def options() -> str:
    """Return what `@job` and its calls take."""
    said = _comments(declare.TaskOptions) | _comments(declare.JobOptions)
    kinds = declare.JobOptions.__annotations__
    rows = [
        (f"`{name}`", _default(name), _rule(name), said.get(name, f"as in Celery ({_kind(kinds[name])})"))
        for name in sorted(kinds)
    ]
    calls = _comments(CallOptions) | _comments(ManyOptions)
    taken = CallOptions.__annotations__ | ManyOptions.__annotations__
    return "\n".join(
        [
            "# Options of tasks and calls",
            "",
            "What [Tasks and calls](../tasks.md) says in words.",
            "",
            "## `@job`",
            "",
            *_table(("Option", "Default", "Must be", "What it says"), rows),
            "",
            "## `apply_async` and `delay_many`",
            "",
            *_table(
                ("Option", "Type", "What it says"),
                [(f"`{name}`", _kind(taken[name]), calls.get(name, "as in Celery")) for name in sorted(taken)],
            ),
        ]
    )


def _default(name: str) -> str:
    if name in {"name", "bind", "pydantic"} or not hasattr(JobTask, name):
        return "-"
    value = getattr(JobTask, name)
    shown = tuple(one.__name__ for one in value) if name.endswith("retry_for") else value
    return f"`{shown!r}`"


def _rule(name: str) -> str:
    rule = declare._RULES.get(name)  # noqa: SLF001 (nobody else has the words)
    return rule[1] if rule else "-"


def _kind(annotation: object) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return f"`{re.sub(r'(typing|collections.abc|datetime)[.]', '', text)}`".replace("|", "or")


def _comments(declared: type) -> dict[str, str]:
    """Return what stands in comments above the names of a class."""
    found: dict[str, str] = {}
    words: list[str] = []
    for line in inspect.getsource(declared).splitlines():
        text = line.strip()
        if text.startswith("#:"):
            words.append(text.removeprefix("#:").strip())
        elif named := re.match(r"(\w+): ", text):
            if words:
                found[named[1]] = " ".join(words)
            words = []
    return found


# --- States ---------------------------------------------------------------------------------------


def of_states() -> str:
    """Return the states, and what leads from one to another."""
    meanings = dict(re.findall(r"^(\w+) {2,}(.+)$", states.__doc__ or "", re.MULTILINE))
    rows = [
        (f"`{state}`", meanings[state.value], ", ".join(f"`{to}`" for to in sorted(states.TRANSITIONS[state])))
        for state in states.State
    ]
    kept = [(f"`{one}`", one.words, _member_comment(held_by.HeldBy, one.name)) for one in held_by.HeldBy]
    return "\n".join(
        [
            "# States",
            "",
            *_table(("State", "Meaning", "May become"), rows),
            "",
            "## Held back",
            "",
            "A job that is queued and must not be claimed now has a reason, `held_by`, which is no state.",
            "",
            *_table(("`held_by`", "In words", "Why"), kept),
            "",
            "## Why a job is dead",
            "",
            "The reason stands on its dead letter:",
            "",
            *(f"- `{reason}`" for reason in outcome.Reason),
        ]
    )


def _member_comment(declared: type, name: str) -> str:
    words: list[str] = []
    for line in inspect.getsource(declared).splitlines():
        text = line.strip()
        if text.startswith("#:"):
            words.append(text.removeprefix("#:").strip())
        elif text.startswith(f"{name} ="):
            return " ".join(words)
        elif text:
            words = []
    return ""


# --- Commands -------------------------------------------------------------------------------------


def commands() -> str:
    """Return the help of every verb of `manage.py jobs`."""
    parser = Command().create_parser("manage.py", "jobs")
    parts = ["# Commands", "", "What `manage.py jobs VERB --help` says. Django's own options are left out.", ""]
    for names, verb in _verbs(parser, ()):
        usage = verb.format_help().replace("\n" + _exit_codes(verb), "")
        parts += [f"## `jobs {' '.join(names)}`", "", "```", usage.strip(), "```", ""]
    return "\n".join(parts)


def _verbs(
    parser: argparse.ArgumentParser, before: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    choices = [one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction)]  # noqa: SLF001
    if not choices:
        yield before, parser
    for named in choices:
        for name, under in named.items():
            yield from _verbs(under, (*before, name))


def _exit_codes(parser: argparse.ArgumentParser) -> str:
    """Return the exit codes, which are the same for all verbs."""
    return (parser.epilog or "").partition("exit codes:")[2]


# --- Requests of the API --------------------------------------------------------------------------


def requests() -> str:
    """Return every request that the API answers."""
    schema = api.get_openapi_schema()
    rows = [
        (f"`{method.upper()} {path}`", str(operation.get("summary", "")), ", ".join(_parameters(operation)) or "-")
        for path, methods in sorted(schema["paths"].items())
        for method, operation in methods.items()
    ]
    about = "The API's own page, `/api/docs`, has the types of each; [The API](../api.md) says how it is used."
    return "\n".join(["# Requests of the API", "", about, "", *_table(("Request", "What it does", "Takes"), rows)])


def _parameters(operation: dict[str, object]) -> list[str]:
    given = operation.get("parameters") or []
    assert isinstance(given, list)  # noqa: S101 (OpenAPI says so)
    return [f"`{one['name']}`" for one in given]


# --- Metrics --------------------------------------------------------------------------------------


def metrics() -> str:
    """Return every metric that `/metrics` shows, as it would describe itself to Prometheus."""
    call_command("migrate", verbosity=0)
    rows = [(f"`{family.name}`", family.type, family.documentation) for family in families()]
    return "\n".join(["# Metrics", "", *_table(("Metric", "Type", "Says"), sorted(rows))])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table. A bar within a cell would begin another one."""
    cells = [tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *cells)]
