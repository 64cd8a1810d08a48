"""What waits in the database for the consumers of one connection, and when it is worth to look."""

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

from jobs.brokers.ledger import messages
from jobs.brokers.ledger.database import ANYTHING, Link
from jobs.brokers.ledger.delivery import Tag
from jobs.brokers.ledger.listening import Listener
from jobs.brokers.ledger.messages import Broadcast, Taken
from jobs.conf import conf
from jobs.ledger import fetch
from jobs.ledger.maintain import Dispatchable
from jobs.ledger.notify import GONE, announce_through

logger = logging.getLogger(__name__)

#: How often everything is looked through, in seconds: a notice can get lost with the process that should have sent it.
POLL_SECONDS = 1.0

#: How often SQLite is asked whether anything has changed, in seconds.
SQLITE_POLL_SECONDS = 0.01


class Fetcher:
    """Fetches, keeps and settles for the consumers of one connection. Used by one thread at a time."""

    def __init__(self) -> None:
        self.link = Link()
        self.listener = Listener()
        #: What there may be to fetch; looked for only then.
        self.waiting = {"j": True, "m": True, "b": True}
        self._poll_at = 0.0
        #: Settled messages that are still in the table. Filled by whichever thread settles.
        self._settled: deque[int] = deque()
        self._renew_at = 0.0

    # When to look.

    def look_around(self) -> None:
        """Take note of what there is news of. Once in a while, there may be anything."""
        now = time.monotonic()
        news = self.link.heard()
        if now >= self._poll_at:
            self._poll_at = now + POLL_SECONDS
            news.add(ANYTHING)
        for notice in news:
            for kind in self.waiting:
                if notice == ANYTHING or notice.startswith(kind):
                    self.waiting[kind] = True

    def wait(self, seconds: float) -> None:
        """Wait until there may be news, for at most so long."""
        fileno = self.link.fileno()
        if fileno is None:
            time.sleep(max(0.0, min(seconds, SQLITE_POLL_SECONDS)))
        else:
            # `select` takes no descriptor above 1,023.
            waiting = select.poll()
            waiting.register(fileno, select.POLLIN)
            waiting.poll(max(0.0, min(seconds, POLL_SECONDS)) * 1000)

    @property
    def has_work(self) -> bool:
        """Whether there may be something to fetch, or is something to settle."""
        return self.waiting["j"] or self.waiting["m"] or bool(self._settled)

    # Fetching.

    def jobs(self, queues: Sequence[str], limit: int) -> list[Dispatchable]:
        """Fetch jobs of these queues."""
        if not self.waiting["j"]:
            return []
        # Before the look, so that news which come meanwhile are kept.
        self.waiting["j"] = False
        with self.link.use() as database:
            found = fetch.fetch_jobs(database, queues, limit)
        if len(found) >= limit:
            self.waiting["j"] = True
        return found

    def messages(self, queues: Sequence[str], limit: int) -> list[Taken]:
        """Fetch messages of these queues."""
        if not self.waiting["m"]:
            return []
        self.waiting["m"] = False
        with self.link.use() as database:
            found = messages.take(database, queues, limit, conf().lease_seconds)
        if len(found) >= limit:
            self.waiting["m"] = True
        return found

    def listen(self, exchanges: Sequence[str], bound: Callable[[Broadcast], Iterable[str]]) -> None:
        """Read on in the log of broadcasts."""
        if not (self.waiting["b"] and self.listener.bound and exchanges):
            return
        self.waiting["b"] = False
        with self.link.use() as database:
            heard = messages.heard(database, exchanges, self.listener.after or 0, self.listener.seen)
        self.listener.hear(heard, bound)

    def newest(self) -> int:
        """Return where the log of broadcasts ends now."""
        with self.link.use() as database:
            return messages.newest(database)

    # Settling. Never raises: a slot of the prefetch limit is free again whatever the database does.

    def settle(self, tag: Tag) -> None:
        """Forget a message that has been dealt with. Of a job, the ledger knows by itself."""
        if tag.kind == "m":
            self._settled.append(tag.id)

    def flush(self) -> None:
        """Delete the settled messages; those that cannot be deleted now, the next time."""
        ids = []
        while self._settled:
            ids.append(self._settled.popleft())
        if not ids:
            return
        try:
            with self.link.use() as database:
                messages.delete(database, ids)
        except GONE:
            self._settled.extend(ids)
            raise

    def renew(self, tags: Callable[[], Iterable[Tag]]) -> None:
        """Keep the messages that were delivered and are not settled yet."""
        now = time.monotonic()
        if now < self._renew_at:
            return
        self._renew_at = now + conf().lease_renew_seconds
        ids = [tag.id for tag in tags() if tag.kind == "m"]
        if ids:
            with self.link.use() as database:
                messages.renew(database, ids, conf().lease_seconds)

    def release(self, tags: Collection[Tag]) -> None:
        """Let others have what was fetched and not begun."""
        jobs = [tag.id for tag in tags if tag.kind == "j"]
        others = [tag.id for tag in tags if tag.kind == "m"]
        if not (jobs or others):
            return
        try:
            with self.link.use() as database:
                queues = fetch.release(database, jobs)
                messages.release(database, others)
                if queues and database.vendor == "postgresql":
                    announce_through(database, queues)
        except GONE as exc:
            logger.warning("What was fetched and not begun could not be given back (%s); it comes back by itself.", exc)

    def close(self) -> None:
        """Settle what can be settled, and close the connection."""
        try:
            self.flush()
        except GONE as exc:
            logger.warning("%d settled messages may be delivered again: %s", len(self._settled), exc)
        self.link.close()
