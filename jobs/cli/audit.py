"""`audit`."""

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Given, Verb, nothing
from jobs.reports.audit import Audited, audit


def _audit(given: Given, out: Output) -> Exit:
    found = audit()
    out.json({"tasks": [_as_json(one) for one in found]})
    for one in found:
        _show(one, out)
    if not found:
        out.line("Every task of the project is a job.")
    return Exit.DONE


def _as_json(one: Audited) -> dict[str, object]:
    changes = [{"about": change.about, "today": change.today, "then": change.then} for change in one.changes]
    return {"task": one.name, "where": one.where, "as_today": one.declaration, "changes": changes}


def _show(one: Audited, out: Output) -> None:
    out.line(f"{one.name}  ({one.where})")
    rows = [[change.about, change.today, change.then] for change in one.changes]
    out.table(["what", "today", "with @job"], rows, empty="nothing changes", below=True)
    out.line(f"  As today, as far as it goes: {one.declaration}")
    out.line()


VERBS = [
    Verb(
        ("audit",),
        "say what @job would change for each plain Celery task",
        _audit,
        nothing,
        more="Nothing is changed. docs/coming-from-celery.md tells of each change.",
    )
]
