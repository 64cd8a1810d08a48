"""What a task logs is kept with its attempt: so much of it as the settings say, without what the task hides.

A line goes to the parent process as soon as it is logged, so that one logged by a process that is killed a moment later
is kept. Logging never makes a task wait: what the parent process cannot take at once goes with the next line, or at the
end of the attempt, which waits a moment for that: a flood of one job's lines costs no other job its own.
"""

import atexit
import logging
import pickle
import select
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import accumulate, groupby, islice, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from celery.signals import worker_process_init
from django.conf import settings
from django.db import DatabaseError

from jobs.models import AttemptLog
from jobs.tasks.redaction import without_hidden
from jobs.worker.pool_socket import PoolSocket

if TYPE_CHECKING:
    from jobs.tasks.task import JobTask

logger = logging.getLogger(__name__)

#: How often the parent process reads what has come, and how often it writes that, in seconds.
READ_EVERY, WRITTEN_EVERY = 0.05, 0.25

#: How long the end of an attempt waits for the parent process to take what it logged, in seconds.
PATIENCE = 0.5

#: The longest line, in bytes: it travels in one datagram.
MOST_LINE = 16 * 1024

#: So many lines wait in the parent process while the database is away; then the oldest go.
MOST_WAITING = 20_000

#: So many are written at once.
BATCH = 1_000

#: Said once, where an attempt has logged more than is kept.
NO_MORE = "… What was logged from here on is not kept (JOBS_LOG_BYTES)."

#: Loggers that may not pass on what they get to the root: Celery's for tasks.
_LOGGERS = ("", "celery.task")

_Arguments = tuple[Sequence[Any], Mapping[str, Any]]


class Line(NamedTuple):
    """What was logged at once: a line, or several with a traceback."""

    job_id: uuid.UUID
    number: int
    at: float
    text: str


class _Collector(PoolSocket):
    """What the processes of the pool have logged, on its way to the parent process, and what has come there."""

    def __init__(self) -> None:
        super().__init__(waits=False)
        self._waiting: deque[Line] = deque(maxlen=MOST_WAITING)

    def serve(self) -> None:
        """Have this process, the worker's parent, write what comes."""
        self._become_parent()

    def send(self, line: Line) -> bool:
        """Hand a line over. Returns false where there is no room for it now; never waits."""
        if self._is_parent():
            self._waiting.append(line)
            return True
        try:
            self._send(pickle.dumps(tuple(line), pickle.HIGHEST_PROTOCOL))
        except OSError:
            return False
        return True

    def wait_for_room(self, seconds: float) -> None:
        """Wait so long at most until there may be room."""
        # No `select`: it takes no descriptor above 1,023.
        room = select.poll()
        room.register(self._sends, select.POLLOUT)
        room.poll(seconds * 1000)

    def read(self) -> bool:
        """Read what has come, so that there is room again. Returns that there is no more."""
        while (datagram := self._receive(2 * MOST_LINE)) is not None:
            self._waiting.append(Line(*pickle.loads(datagram)))  # noqa: S301 (our own child has made it)
        return False

    def write(self) -> bool:
        """Write what has come into the ledger. Returns whether there is more.

        Raises:
            DatabaseError: the database is away; nothing is lost by it, as long as there is room.
        """
        self.read()
        lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
        try:
            AttemptLog.objects.bulk_create(list(_rows(lines)))
        except DatabaseError:
            self._waiting.extendleft(reversed(lines))
            raise
        return bool(self._waiting)


def _rows(lines: Sequence[Line]) -> Iterator[AttemptLog]:
    """Yield a row for what came of one attempt in one go."""
    for (job_id, number), some in groupby(lines, key=lambda line: (line.job_id, line.number)):
        found = list(some)
        text = "\n".join(line.text for line in found)
        yield AttemptLog(job_id=job_id, number=number, at=datetime.fromtimestamp(found[0].at, UTC), text=text)


#: Made before the pool forks.
collector = _Collector()
atexit.register(collector.close)
worker_process_init.connect(collector.belong_to_child, weak=False, dispatch_uid="jobs.attempt_logs")


class _Kept:
    """What is kept of one attempt's log."""

    def __init__(self, task: str, job_id: uuid.UUID, number: int, hidden: Sequence[_Arguments]) -> None:
        self._task, self._job_id, self._number, self._hidden = task, job_id, number, hidden
        self._left = settings.JOBS_LOG_BYTES
        #: What is not on its way yet: when it was logged, the text, and its bytes.
        self._unsent: deque[tuple[float, str, int]] = deque()

    def take(self, text: str) -> None:
        if self._left <= 0:
            return
        for args, kwargs in self._hidden:
            text = without_hidden(self._task, args, kwargs, text)
        # What no database can hold is shown as such.
        encoded = _mask(text).replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace")
        self._left -= len(encoded)
        if self._left <= 0:
            text = f"{_within(encoded, len(encoded) + self._left)}\n{NO_MORE}"
        else:
            text = _within(encoded, MOST_LINE)
        self._unsent.append((time.time(), text, len(text.encode())))
        self._send()

    def close(self) -> int:
        """Send what is left, and wait a moment where there is no room. Returns how many lines are lost."""
        until = time.monotonic() + PATIENCE
        while not self._send() and (left := until - time.monotonic()) > 0:
            collector.wait_for_room(left)
        return len(self._unsent)

    def _send(self) -> bool:
        """Send as much as there is room for, several lines in a datagram. Returns whether that is all."""
        while self._unsent:
            count = self._fitting()
            text = "\n".join(text for _, text, _ in islice(self._unsent, count))
            if not collector.send(Line(self._job_id, self._number, self._unsent[0][0], text)):
                return False
            for _ in range(count):
                self._unsent.popleft()
        return True

    def _fitting(self) -> int:
        """Return how many of the lines go into the next datagram."""
        sizes = accumulate(size + 1 for _, _, size in self._unsent)
        return max(sum(1 for _ in takewhile(lambda size: size <= MOST_LINE, sizes)), 1)


def _within(encoded: bytes, most: int) -> str:
    return encoded[: max(min(most, MOST_LINE), 0)].decode("utf-8", "ignore")


_current: ContextVar[_Kept | None] = ContextVar("attempt_log", default=None)


class _Handler(logging.Handler):
    """Takes what is logged while a task's body runs, by whoever is called from it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        kept = _current.get()
        if kept is None:
            return
        try:
            kept.take(self.format(record))
        except Exception:  # noqa: BLE001 (a message that cannot be put into words; the other handlers say so)
            kept.take(f"A message of {record.name} that cannot be put into words.")


_handler = _Handler()

#: Takes out what is a secret by its shape; `jobs.apps` says how.
_mask: Callable[[str], str] = str


def mask_by(function: Callable[[str], str]) -> None:
    """Have secrets that are known by their shape taken out by this function. Called when Django is ready."""
    global _mask  # noqa: PLW0603 (set once, at start)
    _mask = function


@contextmanager
def kept(task: "JobTask", job_id: uuid.UUID, number: int, hidden: Sequence[_Arguments]) -> Iterator[None]:
    """Keep what is logged within with an attempt of a job.

    Args:
        task: the job's task, whose `redact` says what is hidden.
        job_id: the job; of a batch the first one.
        number: of the attempt.
        hidden: the arguments whose hidden values may not be kept: of a batch those of all its jobs.
    """
    if not settings.JOBS_LOG_BYTES:
        yield
        return
    _attach()
    log = _Kept(task.name, job_id, number, hidden if task.redact else ())
    token = _current.set(log)
    try:
        yield
    finally:
        _current.reset(token)
        if lost := log.close():
            logger.warning("%s lines that job %s has logged came faster than they could be kept.", lost, job_id)


def _attach() -> None:
    """Have the handler get what is logged: whoever configures logging takes away what was there before."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if _handler not in logger.handlers and (not name or not logger.propagate):
            logger.addHandler(_handler)
