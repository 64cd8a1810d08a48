"""Between the consumer, which fetches deliveries, and the pool, which runs them: they are claimed before it has them.

So many are claimed as the pool has free processes or threads and, while jobs are short, a few more: the next one is
there when somebody gets free, and claims share a commit (`jobs.worker.exchange`). Who gets a job that is claimed
begins at once, and need not ask the database.

What does not begin soon, since jobs take longer than those before them did, is put back, with its attempt; then
whoever begins it claims it, when he does. So it is with all that is not claimed here: foreign messages, batches, jobs
with a unique key or a lost worker behind them, and whatever comes while the database is away.
"""

import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celery.worker import state
from django.db import Error as DatabaseError, connection

from jobs.conf import conf
from jobs.ledger.claims import Claimed
from jobs.ledger.sql import RowLocked
from jobs.worker.exchange import Exchange, exchange
from jobs.worker.losses import Unbegun, losses, put_back

if TYPE_CHECKING:
    from jobs.worker.request import JobRequest

#: Claimed ahead is what should begin within so many seconds, but not more than so many jobs for each process or thread.
AHEAD_SECONDS = 0.01
AHEAD_JOBS = 8

#: What was fetched, or claimed, and does not begin within so many seconds is left to whoever begins it.
PATIENCE = 1.0

#: How much a job changes the mean of the times they take, and that mean in the beginning, in seconds: some dozens of
#: short jobs must run before anything is claimed ahead.
WEIGHT = 0.1
FIRST_MEAN = 1.0

#: What the pool was given begins within this share of its lease's time, or not at all. So many seconds after that its
#: lease is not renewed any more: it got lost on its way.
BEGIN_SHARE = 1 / 3
NEWS_SECONDS = 5.0


class Handover:
    """What is on its way. A delivery is fetched, then asked for, then ready, and then given to the pool.

    Any thread may call any method: in a pool of threads they tell of their jobs themselves.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._lock = threading.Lock()
        self._pool: Any = None
        self._begin: Callable[[JobRequest], Any]
        self._call_soon: Callable[[Callable[[], None]], Any]
        self._fetched: deque[tuple[float, JobRequest]] = deque()
        self._asked: list[JobRequest] = []
        self._being_claimed: list[JobRequest] = []
        self._ready: deque[tuple[float, JobRequest]] = deque()
        #: What the pool shall have without a claim.
        self._unclaimed: deque[JobRequest] = deque()
        #: What the pool has and did not say that it began, and when it must have said so.
        self._given: dict[JobRequest, float] = {}
        #: What the pool runs, and since when.
        self._begun: weakref.WeakKeyDictionary[JobRequest, float] = weakref.WeakKeyDictionary()
        self._mean = FIRST_MEAN

    def connect(self, pool: Any, begin: Callable[["JobRequest"], Any], call_soon: Callable[..., Any]) -> None:
        """Stand between a consumer and its pool.

        Args:
            pool: Celery's.
            begin: gives a request to the pool, which runs it as soon as it can.
            call_soon: has the worker's main thread call something.
        """
        self._pool, self._begin, self._call_soon = pool, begin, call_soon

    def fetched(self, request: "JobRequest") -> None:
        """Take a delivery that shall run."""
        # Plain tasks end without a word to us: while one runs, the pool alone knows when it has room.
        has_plain = len(state.active_requests) > len(self._begun)
        if has_plain or not self._exchange.is_open or not getattr(request, "is_claimed_together", False):
            self._begin(request)
            return
        with self._lock:
            self._fetched.append((time.monotonic(), request))
            self._ask()

    def began(self, request: "JobRequest") -> None:
        """Note that the pool has begun it."""
        with self._lock:
            self._given.pop(request, None)
            if not request.ended:
                self._begun[request] = time.monotonic()
            self._ask()

    def ended(self, request: "JobRequest", seconds: float) -> None:
        """Note that the pool has come back from it, after this time. Gives the pool the next one."""
        with self._lock:
            self._given.pop(request, None)
            if self._begun.pop(request, None) is not None:
                self._mean += WEIGHT * (seconds - self._mean)
            self._ask()
        self._hand_over()

    def holders(self) -> list["JobRequest"]:
        """Return the deliveries whose leases must be held although they have not begun."""
        with self._lock:
            return [*self._asked, *self._being_claimed, *(request for _, request in self._ready), *self._given]

    def take(self) -> list["JobRequest"]:
        """Return what is to be claimed now."""
        with self._lock:
            asked, self._asked = self._asked, []
            self._being_claimed += asked
        return asked

    def answered(self, asked: Sequence["JobRequest"], claimed: Mapping[str, Claimed], asked_at: float) -> None:
        """Note what was claimed, by lease. The rest is left to the pool: it finds out why it was not."""
        now = time.monotonic()
        begins_by = asked_at + conf().lease_seconds * BEGIN_SHARE
        with self._lock:
            self._settle(asked)
            for request in asked:
                if request.lease_id in claimed:
                    request.claim(claimed[request.lease_id], begins_by)
                    # Nobody needs its message any more; the broker may give us another one.
                    request.acknowledge()
                    self._ready.append((now, request))
                else:
                    self._unclaimed.append(request)
        self._hand_over()

    def unanswered(self, asked: Sequence["JobRequest"]) -> None:
        """Leave to the pool what may be claimed, or may not."""
        for request in asked:
            request.doubt()
        with self._lock:
            self._settle(asked)
            self._unclaimed += asked
        self._hand_over()

    def tend(self) -> bool:
        """Leave to the pool what does not begin soon, and to its lease what got lost on its way there."""
        now = time.monotonic()
        with self._lock:
            late = _older(self._ready, now - PATIENCE)
            self._being_claimed += late
            self._given = {request: until for request, until in self._given.items() if until > now}
        if late:
            _give_up(late)
        with self._lock:
            self._settle(late)
            self._unclaimed += [*late, *_older(self._fetched, now - PATIENCE)]
            waits = bool(self._unclaimed)
        if waits:
            self._call_soon(self._hand_over)
        return False

    def recall(self, job_id: uuid.UUID) -> "JobRequest | None":
        """Return the delivery of a job that is claimed and waits for the pool, which will not get it any more."""
        with self._lock:
            for waiting in self._ready:
                if waiting[1].job_id == job_id:
                    self._ready.remove(waiting)
                    return waiting[1]
        return None

    def drop(self) -> None:
        """Forget what the pool does not have, after the exchange was closed: who brought it is gone."""
        with self._lock:
            ready = [request for _, request in self._ready]
            in_doubt = [request for request in self._unclaimed if request.is_in_doubt]
            for waiting in (self._fetched, self._asked, self._ready, self._unclaimed):
                waiting.clear()
        self._put_back([*ready, *in_doubt])

    def withdraw(self, requests: Sequence["JobRequest"]) -> None:
        """Note that the pool will not begin these."""
        with self._lock:
            withdrawn = [request for request in requests if self._given.pop(request, None) is not None]
        self._put_back(withdrawn)

    def close(self) -> None:
        """Put back what has not begun. Called when the pool is gone."""
        self.drop()
        with self._lock:
            given, self._given = list(self._given), {}
        self._put_back(given)

    def _put_back(self, requests: Sequence["JobRequest"]) -> None:
        if requests:
            losses.put(Unbegun(requests))

    def _settle(self, asked: Sequence["JobRequest"]) -> None:
        settled = set(asked)
        self._being_claimed = [request for request in self._being_claimed if request not in settled]

    def _ask(self) -> None:
        """Have claimed what the pool can use soon. Rather several at a time: half of what is ahead is used up first."""
        if not self._fetched:
            return
        size = self._pool.num_processes
        free = max(0, size - self._busy())
        ahead = size * min(AHEAD_JOBS, int(AHEAD_SECONDS / self._mean))
        if free == 0 and time.monotonic() - max(self._begun.values(), default=0.0) > AHEAD_SECONDS:
            # All of these last longer than that.
            ahead = 0
        unbegun = len(self._asked) + len(self._being_claimed) + len(self._ready) + len(self._given)
        if unbegun >= free and unbegun > ahead // 2:
            return
        for _ in range(min(len(self._fetched), free + ahead - unbegun)):
            self._asked.append(self._fetched.popleft()[1])
        self._exchange.wake()

    def _busy(self) -> int:
        # Plain tasks are only in Celery's set, and only in ours are those that were taken from a thread that hangs.
        return max(len(state.active_requests), len(self._begun))

    def _hand_over(self) -> None:
        while (request := self._next()) is not None:
            self._begin(request)

    def _next(self) -> "JobRequest | None":
        with self._lock:
            if self._unclaimed:
                return self._unclaimed.popleft()
            if not self._ready or self._busy() + len(self._given) >= self._pool.num_processes:
                return None
            _, request = self._ready.popleft()
            self._given[request] = request.begins_by + NEWS_SECONDS
            return request


def _give_up(late: Sequence["JobRequest"]) -> None:
    try:
        put_back(late, message_lost=False)
    except (DatabaseError, RowLocked) as exc:
        if not isinstance(exc, RowLocked):
            connection.close()
        for request in late:
            request.doubt()
    for request in late:
        request.unclaim()


def _older(waiting: "deque[tuple[float, JobRequest]]", than: float) -> list["JobRequest"]:
    found = []
    while waiting and waiting[0][0] < than:
        found.append(waiting.popleft()[1])
    return found


handover = Handover(exchange)
