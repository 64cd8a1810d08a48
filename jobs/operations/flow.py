"""Limits, pauses and weights, changed while jobs run.

Dashboard, admin, API and command line call these, and nothing below them.

Each change says who asks, is recorded, and holds on all workers at once: they read the rules with every claim.
"""

from datetime import datetime

from celery import current_app
from django.db import transaction
from django.utils import timezone

from jobs.conf import queue_limits
from jobs.core.held_by import HeldBy
from jobs.core.limits import MOST_JOBS, Kind, Limit, Rate
from jobs.core.turns import LEAST, MOST, WEIGHT
from jobs.errors import InvalidRule
from jobs.ledger import lines, renames, turns
from jobs.models import FlowRule, Job, Queue
from jobs.operations import actions
from jobs.operations.bulk import record
from jobs.operations.pauses import NO_PAUSE, pause_of, told
from jobs.tasks.limits import declared
from jobs.tasks.registry import present_name, registered

_WEIGHT_RULE = f"it must be a number from {LEAST:g} to {MOST:g}"


def set_limit(
    kind: Kind, name: str, *, rate: str | None, burst: int = 1, concurrency: int | None, actor: str
) -> FlowRule:
    """Limit a task, queue, key or tenant, whatever its declaration says, until that is reset.

    Args:
        kind: what is limited.
        name: its name; a key's begins with its task's, as `mail.send:example.org`.
        rate: such as `100/s`; None for no limit of that sort.
        burst: how many may begin at one moment after a pause.
        concurrency: how many may run at once; None for no limit of that sort.
        actor: who asks.

    Raises:
        InvalidRule: a figure is none, or there is nothing of that name.
    """
    name = name_of(kind, name)
    limit = limit_of(rate, burst, concurrency)
    figures = {"rate": limit.rate, "burst": limit.burst, "concurrency": limit.concurrency}
    changed = {**figures, "source": "operator", "changed_by": actor, "changed_at": timezone.now()}
    with transaction.atomic():
        rule, _ = FlowRule.objects.update_or_create(kind=kind, name=name, defaults=changed)
        record("limit", actor, {str(kind): name, **figures}, 1)
    return rule


def reset_limit(kind: Kind, name: str, *, actor: str) -> None:
    """Let a limit be again what code or settings declare, or none where they declare nothing. Raises InvalidRule."""
    name = name_of(kind, name)
    limit = _declared(kind, name)
    source = "setting" if kind == Kind.QUEUE else "code"
    figures = {"rate": limit.rate, "burst": limit.burst, "concurrency": limit.concurrency}
    with transaction.atomic():
        changed = {**figures, "source": source, "changed_by": "", "changed_at": timezone.now()}
        FlowRule.objects.filter(kind=kind, name=name).update(**changed)
        record("reset-limit", actor, {str(kind): name}, 1)


def set_weight(tenant: str, weight: float, *, actor: str) -> FlowRule:
    """Let a tenant have so many turns, in each queue, for every one of a tenant of which nobody has said anything.

    Args:
        tenant: whose jobs.
        weight: from 0.01 to 100; 1 for no more and no less than others.
        actor: who asks.

    Raises:
        InvalidRule: the weight is none, or no tenant can be called so.
    """
    tenant = name_of(Kind.TENANT, tenant)
    # A bool is an int to Python; NaN is in no range.
    if type(weight) not in {int, float} or not LEAST <= weight <= MOST:
        raise InvalidRule(f"weight={weight!r} is not valid: {_WEIGHT_RULE}.")
    with transaction.atomic():
        said = {"weight": None if weight == WEIGHT else float(weight)}
        rule, _ = FlowRule.objects.update_or_create(kind=Kind.TENANT, name=tenant, defaults=said)
        turns.begin_anew(tenant)
        record("weight", actor, {str(Kind.TENANT): tenant, "weight": weight}, 1)
    return rule


def pause(kind: Kind, name: str, *, actor: str, reason: str = "", until: datetime | None = None) -> None:
    """Let no job of a task, queue, key or tenant begin until it is resumed; what runs goes on. Holds over restarts.

    Args:
        kind: what is paused.
        name: its name.
        actor: who asks.
        reason: why, for whoever wonders.
        until: when it ends by itself; None for never.

    Raises:
        InvalidRule: there is nothing of that name, the end is past, or the reason too long.
    """
    name = name_of(kind, name)
    if kind == Kind.QUEUE:
        actions.pause_queue(name, actor=actor, reason=reason, until=until)
        return
    said = pause_of(actor, reason, until)
    with transaction.atomic():
        rule, _ = FlowRule.objects.update_or_create(kind=kind, name=name, defaults=said)
        lines.rename(rule.pk, HeldBy.PAUSED)
        record("pause", actor, {str(kind): name, **told(reason, until)}, 1)


def resume(kind: Kind, name: str, *, actor: str) -> None:
    """Let jobs begin again that a pause kept from it, in their order. Raises InvalidRule."""
    name = name_of(kind, name)
    if kind == Kind.QUEUE:
        actions.resume_queue(name, actor=actor)
        return
    with transaction.atomic():
        for rule in FlowRule.objects.filter(kind=kind, name=name):
            FlowRule.objects.filter(pk=rule.pk).update(**NO_PAUSE)
            lines.rename(rule.pk, HeldBy.LIMIT)
        record("resume", actor, {str(kind): name}, 1)


def limit_of(rate: str | None, burst: int, concurrency: int | None) -> Limit:
    """Return a limit of these figures. Raises InvalidRule where one of them is none."""
    if concurrency is not None:
        concurrency = _count("concurrency", concurrency)
    return Limit(_rate(rate), _count("burst", burst), concurrency)


def weight_of(text: str) -> float:
    """Return the weight that a form's field says. Raises InvalidRule where that is no number."""
    try:
        return float(text)
    except ValueError:
        raise InvalidRule(f"weight={text!r:.40} is not valid: {_WEIGHT_RULE}.") from None


def kind_of(text: str) -> Kind:
    """Return a kind by its name. Raises InvalidRule."""
    try:
        return Kind(text)
    except ValueError:
        raise InvalidRule(f"{text!r} is not valid: it must be one of {', '.join(Kind)}.") from None


def name_of(kind: Kind, name: str) -> str:
    """Return the name that a task, queue, key or tenant goes by: the present one of a task that was renamed.

    Raises:
        InvalidRule: there can be no job of it: it is a slip of the keyboard.
    """
    known = False
    if "\x00" not in name:
        known = FlowRule.objects.filter(kind=kind, name=name).exists() or _can_be(kind, name)
    if not known:
        hint = " A key is written after its task's name and a colon; the task says key=." if kind == Kind.KEY else ""
        raise InvalidRule(f"There is no {kind} {name!r:.300}.{hint}")
    if kind not in {Kind.TASK, Kind.KEY}:
        return name
    task, colon, key = (name, "", "") if kind == Kind.TASK else name.partition(":")
    # What the ledger knows is by newer code than this process's, perhaps.
    return renames.present(present_name(task)) + colon + key


def _can_be(kind: Kind, name: str) -> bool:
    task = registered().get(name.partition(":")[0] if kind == Kind.KEY else name)
    match kind:
        case Kind.TASK:
            return hasattr(task, "check_arguments") or Job.objects.filter(task=name).exists()
        case Kind.QUEUE:
            return name in _queues() or Job.objects.filter(queue=name).exists()
        case Kind.KEY:
            return getattr(task, "key", None) is not None and len(name) <= 300
        case _:
            return 0 < len(name) <= 200


def _queues() -> set[str]:
    registered()
    return {*current_app.amqp.queues, *Queue.objects.values_list("name", flat=True)}


def _rate(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        return str(Rate.read(value))
    except ValueError as exc:
        raise InvalidRule(f"rate: {exc}.") from None


def _count(name: str, value: int) -> int:
    if type(value) is not int or not 1 <= value <= MOST_JOBS:
        raise InvalidRule(f"{name}={value!r} is not valid: it must be a whole number, one or more.")
    return value


def _declared(kind: Kind, name: str) -> Limit:
    if kind == Kind.TASK:
        registered()
        return dict(declared(current_app)).get(name, Limit())
    return queue_limits().get(name, Limit()) if kind == Kind.QUEUE else Limit()
