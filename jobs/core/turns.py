"""Turns: who is next, so that each that waits gets its share, however much each has waiting. Pure.

Those that take turns are the tenants of a queue, or the queues of a worker; here all are called tenants.

Start-time fair queueing (Goyal, Vin and Cheng, 1996): each tenant has a virtual time that grows with every job it
gets, the slower the more it weighs; the one with the least is next. Who has waited for nothing meanwhile begins at the
queue's clock, so that it gets no more than its share for having been away, and no less. Of those at one time, who has
had no turn goes first: where more wait than can be looked at together, the clock may have passed it by.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeVar

#: What a tenant weighs of which nobody has said anything, and what can be said.
WEIGHT, LEAST, MOST = 1.0, 0.01, 100.0

T = TypeVar("T")


@dataclass(slots=True)
class Turns:
    """The turns of one queue's tenants, or of one worker's queues.

    Attributes:
        clock: the virtual time at which the latest job began.
        served: the virtual time of tenants.
        weights: what tenants weigh, where that is not `WEIGHT`.
    """

    clock: float
    served: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def share(self, waiting: Mapping[str, int], number: int) -> dict[str, int]:
        """Share out places for jobs among tenants.

        Args:
            waiting: how many jobs each of them has at most.
            number: how many places there are.

        Returns:
            How many each gets, those whose turn comes first at the beginning. Nothing is noted yet: see `count`.
        """
        order = [self._turn(tenant) for tenant, most in waiting.items() if most]
        heapq.heapify(order)
        shares: dict[str, int] = {}
        for _ in range(number):
            if not order:
                break
            at, _, tenant = heapq.heappop(order)
            shares[tenant] = shares.get(tenant, 0) + 1
            if shares[tenant] < waiting[tenant]:
                heapq.heappush(order, (at + self._step(tenant), True, tenant))
        return shares

    def in_order(self, jobs: Iterable[T], tenant_of: Callable[[T], str]) -> list[T]:
        """Return the jobs of a share in the order of their turns; those of one tenant stay in their own order."""
        before: Counter[str] = Counter()
        found = []
        for job in jobs:
            tenant = tenant_of(job)
            found.append((self._turn(tenant, before[tenant]), job))
            before[tenant] += 1
        return [job for _, job in sorted(found, key=itemgetter(0))]

    def before(self, tenant: str, own: int, waiting: Mapping[str, int]) -> int:
        """Return how many jobs have their turns before one of a tenant's, as things stand.

        Args:
            tenant: whose.
            own: how many of its jobs come before that one.
            waiting: how many jobs each tenant has.
        """
        mine = self._turn(tenant, own)
        found = own
        for other, number in waiting.items():
            if other != tenant:
                sooner = max(0, math.ceil((mine[0] - self._at(other)) / self._step(other)))
                # Those at one time have an order, too.
                sooner += self._turn(other, sooner) < mine
                found += min(number, sooner)
        return found

    def count(self, tenant: str, number: int) -> None:
        """Note that a tenant's jobs begin."""
        self.served[tenant] = self._at(tenant) + number * self._step(tenant)

    def order(self, tenants: Iterable[str]) -> list[str]:
        """Return them in the order of their turns."""
        return sorted(tenants, key=self._turn)

    def give(self, tenant: str, number: int) -> None:
        """Note that jobs begin of the first in order that had any: those before it waited for nothing."""
        self.clock = self._at(tenant)
        self.count(tenant, number)

    def forward(self, tenants: Iterable[str]) -> None:
        """Move the clock to the least that one of those has had who waited."""
        self.clock = min(map(self._at, tenants), default=self.clock)

    def _turn(self, tenant: str, number: int = 0) -> tuple[float, bool, str]:
        """Return what turns are sorted by: when, and of those at one time who has had none before who has.

        Args:
            tenant: whose.
            number: which of its turns, from the next one on.
        """
        return self._at(tenant) + number * self._step(tenant), number > 0 or tenant in self.served, tenant

    def _at(self, tenant: str) -> float:
        return max(self.clock, self.served.get(tenant, 0.0))

    def _step(self, tenant: str) -> float:
        return 1 / self.weights.get(tenant, WEIGHT)
