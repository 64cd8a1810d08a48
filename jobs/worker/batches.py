"""Jobs of batch tasks: the parent claims what waits beside one of them; in the pool one call runs them all.

A message brings one; each is an item of the call, and may fail by itself.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs.ledger.batches import claim_waiting
from jobs.ledger.claims import Claimed
from jobs.tasks.batch import Batch, Item, item_type
from jobs.worker.deliveries import Wanted, new_lease

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask
    from jobs.worker.executor import Attempt


def claim_beside(
    asked: Sequence[Wanted],
    claimed: Sequence[Claimed],
    batch_of: Callable[[str], int],
    lease_seconds: float,
    worker: str,
) -> list[Claimed]:
    """Claim what waits beside the jobs of batch tasks. A job that is taken still says that there is work.

    Args:
        asked: what messages have brought.
        claimed: what was claimed of that.
        batch_of: returns how many jobs of a task one call takes; 0 where each call takes one.
        lease_seconds: how long a lease lasts.
        worker: who claims.
    """
    tasks = {job.task for job in claimed} | {one.task for one in asked if one.task}
    sizes = {task: size for task in tasks if (size := batch_of(task))}
    if not sizes:
        return []
    have = Counter((job.task, job.queue) for job in claimed if job.task in sizes)
    have.update({(one.task, one.queue): 0 for one in asked if one.task in sizes})
    more: list[Claimed] = []
    for (task, queue), number in have.items():
        size = sizes[task]
        if missing := -number % size or (0 if number else size):
            leases = [new_lease() for _ in range(missing)]
            more += claim_waiting(task, queue, leases, lease_seconds=lease_seconds, worker=worker)
    return more


def call(
    task: "JobTask", attempts: Sequence["Attempt"], body: Callable[[Sequence[Any], Mapping[str, Any]], object]
) -> None:
    """Call a body with the items of these jobs. What it says of one of them is that attempt's error.

    Raises what the body raises, which is the error of the others.
    """
    items = list(_items(task, attempts))
    try:
        if items:
            body((Batch([item for _, item in items]),), {})
    finally:
        for attempt, item in items:
            attempt.error = item.error


def _items(task: "JobTask", attempts: Sequence["Attempt"]) -> Iterator[tuple["Attempt", Item[Any]]]:
    kind = item_type(task.run)
    for attempt in attempts:
        try:
            yield attempt, Item(kind(*attempt.args, **attempt.kwargs), attempt.job.id)
        except Exception as exc:  # noqa: BLE001 (whatever the item's type raises is that job's error)
            attempt.error = exc
