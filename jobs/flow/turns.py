"""Tenants' jobs are claimed in turns: a message of one is the right to claim one of its queue, whosever turn it is."""

from collections import Counter

from jobs.core.priority import HIGHEST
from jobs.core.turns import Turns
from jobs.ledger import turns
from jobs.ledger.lines import Waiting


def in_turn(queue: str, number: int) -> list[Waiting] | None:
    """Return the jobs of a queue whose tenants' turn it is, the most urgent first, and note that they have had it.

    Returns:
        So many jobs as are asked for, or as there are, their rows locked; None where somebody else shares out turns
        just now.
    """
    shared = turns.lock(queue)
    if shared is None:
        return None
    chosen: list[Waiting] = []
    priority = turns.next_priority(queue, HIGHEST + 1)
    while priority is not None and len(chosen) < number:
        chosen += _of_priority(queue, priority, number - len(chosen), shared)
        priority = turns.next_priority(queue, priority)
    turns.keep(shared, queue, {str(job.tenant) for job in chosen})
    return chosen


def _of_priority(queue: str, priority: int, number: int, shared: Turns) -> list[Waiting]:
    tenants = turns.tenants(queue, priority)
    turns.read(shared, queue, tenants)
    most = dict.fromkeys(tenants, number)
    while True:
        shares = shared.share(most, number)
        found = turns.heads(queue, priority, shares)
        got = Counter(str(job.tenant) for job in found)
        fewer = {tenant: got[tenant] for tenant, share in shares.items() if got[tenant] < share}
        if not fewer:
            break
        # These have no more that could begin; what they leave is the others'.
        most.update(fewer)
    for tenant, count in got.items():
        shared.count(tenant, count)
    shared.forward(tenants)
    return found
