"""Tasks that were renamed: what is said of an old name is said of the present one, whichever code a worker runs."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from jobs.core.limits import Kind
from jobs.models import FlowRule

#: What a row says that says nothing.
_NO_FIGURES = {"rate": None, "burst": 1, "concurrency": None, "source": "code", "changed_by": ""}
_NO_PAUSE = {"paused_at": None, "paused_until": None, "paused_by": "", "pause_reason": ""}


def known() -> dict[str, str]:
    """Return the present names of renamed tasks, by the names that they had."""
    found: Any = _renamed().values_list("name", "renamed_to")
    return dict(found)


def note(former: Mapping[str, str], own: Collection[str]) -> None:
    """Write which names tasks had before, and let limits and pauses of these be those of the present names.

    The caller's transaction takes it back as a whole where it fails.

    Args:
        former: the present names, by old ones.
        own: the present names of all tasks known here. Code that knows both names of a rename, and has the old one for
            a task's own, says that it holds no more; code that knows only the old one says nothing.
    """
    noted = known()
    said = {*own, *former}
    for name in sorted(name for name, present in noted.items() if name in own and present in said):
        _renamed().filter(name=name).update(renamed_to=None)
        del noted[name]
    for old, name in sorted(former.items()):
        # Older code may not know of the latest name.
        present = noted.get(name, name)
        if noted.get(old) != present:
            FlowRule.objects.update_or_create(kind=Kind.TASK, name=old, defaults={"renamed_to": present})
            _renamed().filter(renamed_to=old).update(renamed_to=present)
        _move(old, present)


def present(name: str) -> str:
    """Return the present name of a task."""
    return _renamed().filter(name=name).values_list("renamed_to", flat=True).first() or name


def _renamed() -> QuerySet[FlowRule]:
    return FlowRule.objects.filter(kind=Kind.TASK, renamed_to__isnull=False)


def _move(old: str, name: str) -> None:
    """Let what operators have said of a task under its old name, and of its keys, be said of its present one."""
    of_old = Q(kind=Kind.TASK, name=old) | Q(kind=Kind.KEY, name__startswith=f"{old}:")
    said = Q(source="operator") | Q(paused_at__isnull=False)
    for row in FlowRule.objects.select_for_update(no_key=True).filter(of_old & said).order_by("name"):
        # Capital and small letters are the same to a LIKE of SQLite's.
        if row.name.startswith(old):
            _say_of(Kind(row.kind), name + row.name.removeprefix(old), row)


def _say_of(kind: Kind, name: str, row: FlowRule) -> None:
    """Let what a row says be said of this name, where nobody has said anything of that; the row says nothing more."""
    FlowRule.objects.bulk_create([FlowRule(kind=kind, name=name)], ignore_conflicts=True)
    there = FlowRule.objects.select_for_update(no_key=True).get(kind=kind, name=name)
    taken = {"tat": max(there.tat, row.tat)}
    if row.source == "operator" and there.source != "operator":
        taken |= {field: getattr(row, field) for field in (*_NO_FIGURES, "changed_at")}
    if row.paused_at is not None and _ends_later(row, there):
        taken |= {field: getattr(row, field) for field in _NO_PAUSE}
    FlowRule.objects.filter(pk=there.pk).update(**taken)
    FlowRule.objects.filter(pk=row.pk).update(**_NO_FIGURES, **_NO_PAUSE)


def _ends_later(pause: FlowRule, other: FlowRule) -> bool:
    """Return whether a pause ends later than another one, which may be none."""
    if other.paused_at is None:
        return True
    return other.paused_until is not None and (pause.paused_until is None or pause.paused_until > other.paused_until)
