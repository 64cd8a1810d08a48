"""Tenants' jobs are claimed in turns: a message of one is the right to claim one of its queue, whosever turn it is.

So is the place of one in the line of a limit: who begins there is the first job of the tenant whose turn it is.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from jobs.core.priority import HIGHEST
from jobs.core.turns import Turns
from jobs.ledger import turns
from jobs.ledger.lines import Waiting
from jobs.ledger.turns import Shared


def in_turn(queue: str, number: int) -> list[Waiting] | None:
    """Return the jobs of a queue whose tenants' turn it is, the most urgent first, and note that they have had it.

    Returns:
        So many jobs as are asked for, or as there are, their rows locked; None where somebody else shares out turns
        just now. Those of one priority have their places in the order of their turns, whoever's has waited longest.
    """
    shared = turns.in_queue(queue)
    taken = turns.lock(shared)
    if taken is None:
        return None
    chosen: list[Waiting] = []
    priority = turns.next_priority(shared, HIGHEST + 1)
    while priority is not None and len(chosen) < number:
        tenants = turns.tenants(shared, priority)
        turns.read(taken, shared, tenants)
        found, able = _of_priority(shared, priority, number - len(chosen), taken, tenants)
        _count(taken, found, able)
        chosen += _placed(found, found)
        priority = turns.next_priority(shared, priority)
    turns.keep(taken, shared, {str(job.tenant) for job in chosen})
    return chosen


def _of_priority(
    shared: Shared, priority: int, number: int, taken: Turns, tenants: Collection[str]
) -> tuple[list[Waiting], list[str]]:
    """Return the jobs of a priority whose turn it is, in the order of their turns, and whose could begin at all."""
    most = dict.fromkeys(tenants, number)
    while True:
        shares = taken.share(most, number)
        found = turns.heads(shared, priority, shares)
        got = Counter(str(job.tenant) for job in found)
        fewer = {tenant: got[tenant] for tenant, share in shares.items() if got[tenant] < share}
        if not fewer:
            return taken.in_order(found, lambda job: str(job.tenant)), [name for name, any_ in most.items() if any_]
        # These have no more that could begin; what they leave is the others'.
        most.update(fewer)


def _placed(jobs: Sequence[Waiting], at: Sequence[Waiting]) -> list[Waiting]:
    """Return jobs at the places that others of their priority have, the first at the first."""
    places = sorted(job.place for job in at)
    return [replace(job, place=place) for job, place in zip(jobs, places, strict=False)]


def _count(taken: Turns, begun: Sequence[Waiting], able: Collection[str]) -> None:
    """Note that jobs have had their turn, beside all these tenants, whose jobs could have had it."""
    for tenant, count in Counter(str(job.tenant) for job in begun).items():
        taken.count(tenant, count)
    taken.forward(able)


# --- In line --------------------------------------------------------------------------------------


@dataclass(slots=True)
class LineTurns:
    """What tenants share in the line of one limit, whose row is locked."""

    shared: Shared
    taken: Turns
    #: By priority: whose jobs could begin, and those whose turn it is.
    considered: list[tuple[list[str], list[Waiting]]] = field(default_factory=list)

    def note(self, begun: Collection[object]) -> None:
        """Note which jobs begin, by their ids: these have had their turns."""
        had: set[str] = set()
        for able, chosen in self.considered:
            mine = [job for job in chosen if job.id in begun]
            if mine:
                _count(self.taken, mine, able)
                had.update(str(job.tenant) for job in mine)
        if had:
            turns.keep(self.taken, self.shared, had)


def in_lines(heads: Sequence[Waiting], queues: Collection[str]) -> tuple[list[Waiting], list[LineTurns]]:
    """Have tenants take turns at the places which their jobs have at the heads of lines.

    Args:
        heads: the first jobs of some lines, whose rules are locked.
        queues: those whose jobs may begin.

    Returns:
        As many jobs, their rows locked; and the turns of those lines in which several tenants wait, to be told which
        of the jobs begin.
    """
    found = [job for job in heads if job.tenant is None]
    lines: dict[int, LineTurns] = {}
    tenants_jobs = sorted((job for job in heads if job.tenant is not None), key=_line_and_priority)
    for (rule_id, _), group in groupby(tenants_jobs, key=_line_and_priority):
        found += _in_line(rule_id, list(group), queues, lines)
    return found, list(lines.values())


def _line_and_priority(job: Waiting) -> tuple[int, int]:
    return job.held_rule or 0, job.place[0]


def _in_line(rule_id: int, first: list[Waiting], queues: Collection[str], lines: dict[int, LineTurns]) -> list[Waiting]:
    """Return whose turn it is at the places of these, the first of one line and priority."""
    shared, priority = turns.in_line(rule_id, queues), -first[0].place[0]
    tenants = turns.tenants(shared, priority)
    if len(tenants) < 2:
        return first
    if rule_id not in lines:
        taken = turns.lock(shared)
        if taken is None:
            return first
        lines[rule_id] = LineTurns(shared, taken)
    line = lines[rule_id]
    turns.read(line.taken, shared, tenants)
    chosen, able = _of_priority(shared, priority, len(first), line.taken, tenants)
    line.considered.append((able, chosen))
    return _placed(chosen, first)
