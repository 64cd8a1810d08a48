"""One reader in each web process for all who listen there; it reads only while somebody does."""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, connection

from jobs.core.states import State
from jobs.events import change
from jobs.events.change import Change, Wanted
from jobs.events.logs import LogTail
from jobs.events.stream import Stream
from jobs.events.tail import Tail
from jobs.operations import tokens
from jobs.operations.tokens import Scope

logger = logging.getLogger(__name__)

#: Seconds between two reads, between two ticks, and between two looks whether tokens are still good.
INTERVAL, TICK, TOKENS_EVERY = 0.1, 1.0, 1.0

#: The longest pause while the database does not answer, in seconds.
LONGEST_PAUSE = 2.0


@dataclass(eq=False)
class Channel:
    """The streams of one event loop that want the same; what they get is written once for all of them."""

    wanted: Wanted
    loop: asyncio.AbstractEventLoop
    streams: set[Stream] = field(default_factory=set)
    _counted: Counter[State] = field(default_factory=Counter)
    _latest: Sequence[Change] = ()
    _ticked_at: float = 0.0

    def piece(self, changes: Sequence[Change], now: float) -> bytes:
        """Return what its streams get of these changes."""
        if not self.wanted.ticks:
            return change.events(changes, self.wanted)
        mine = [one for one in changes if one in self.wanted]
        self._counted.update(one.state for one in mine)
        self._latest = mine[-1:] or self._latest
        if not self._counted or now - self._ticked_at < TICK:
            return b""
        piece = change.tick(self._latest, self._counted)
        self._counted.clear()
        self._ticked_at = now
        return piece

    def deliver(self, piece: bytes) -> None:
        """Hand a piece to each stream, in their loop."""
        for stream in tuple(self.streams):
            stream.push(piece)


class Hub:
    """Knows who listens, and has one thread read for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: dict[tuple[Wanted, asyncio.AbstractEventLoop], Channel] = {}
        self._thread: threading.Thread | None = None
        self._is_reading = False
        self._logs = LogTail()
        self._tokens_seen_at = 0.0
        self._stopping = threading.Event()

    @property
    def count(self) -> int:
        """How many streams are open."""
        with self._lock:
            return sum(len(channel.streams) for channel in self._channels.values())

    def count_of(self, caller: str) -> int:
        """How many of them belong to one token or person."""
        with self._lock:
            return sum(stream.caller == caller for channel in self._channels.values() for stream in channel.streams)

    def join(self, stream: Stream) -> None:
        """Let a stream have what happens from now on; `stream.listening` says when that is so."""
        with self._lock:
            key = (stream.wanted, stream.loop)
            channel = self._channels.setdefault(key, Channel(stream.wanted, stream.loop))
            channel.streams.add(stream)
            if self._thread is None:
                self._stopping.clear()
                self._thread = threading.Thread(target=self._run, name="jobs-events", daemon=True)
                self._thread.start()
            elif self._is_reading and not stream.wanted.logs:
                stream.listening.set()

    def leave(self, stream: Stream) -> None:
        """Forget a stream."""
        with self._lock:
            key = (stream.wanted, stream.loop)
            channel = self._channels.get(key)
            if channel is None:
                return
            channel.streams.discard(stream)
            if not channel.streams:
                del self._channels[key]

    def end(self) -> None:
        """End every stream, in order: the server stops. May be called from a signal handler."""
        for channel in tuple(self._channels.values()):
            for stream in tuple(channel.streams):
                _call(channel.loop, stream.end)

    def close(self) -> None:
        """Stop the reader and wait for it: tests take its database away."""
        self._stopping.set()
        thread = self._thread
        if thread is not None:
            thread.join(5)

    def _run(self) -> None:
        """Read until nobody listens."""
        tail: Tail | None = None
        failures = 0
        try:
            while self._has_listeners():
                began = time.monotonic()
                try:
                    tail = tail or self._begin()
                    for changes in tail.read():
                        self._tell(changes)
                    self._tell(())
                    self._tell_of_logs()
                    self._end_with_tokens(began)
                    failures = 0
                except (DatabaseError, InterfaceError, OSError) as exc:
                    failures += 1
                    if failures == 1:
                        logger.warning("Live events wait for the database: %s", exc)
                    connection.close()
                pause = INTERVAL if not failures else min(LONGEST_PAUSE, INTERVAL * 2**failures)
                self._stopping.wait(max(0.0, began + pause - time.monotonic()))
        finally:
            connection.close()

    def _has_listeners(self) -> bool:
        with self._lock:
            if self._channels and not self._stopping.is_set():
                return True
            # Under the lock: whoever joins next starts another thread.
            self._thread, self._is_reading = None, False
            return False

    def _begin(self) -> Tail:
        tail = Tail()
        with self._lock:
            self._is_reading = True
            for channel in self._channels.values():
                # Those who want logs are told once these are followed, too.
                for stream in () if channel.wanted.logs else tuple(channel.streams):
                    _call(channel.loop, stream.listening.set)
        return tail

    def _tell(self, changes: Sequence[Change]) -> None:
        with self._lock:
            channels = tuple(self._channels.values())
        now = time.monotonic()
        for channel in channels:
            piece = channel.piece(changes, now)
            if piece:
                _call(channel.loop, channel.deliver, piece)

    def _tell_of_logs(self) -> None:
        """Tell those who want to know what their jobs have logged."""
        with self._lock:
            streams = {channel: tuple(channel.streams) for channel in self._channels.values() if channel.wanted.logs}
        if not streams:
            self._logs = LogTail()
            return
        found = self._logs.read(frozenset().union(*(channel.wanted.jobs for channel in streams)))
        for channel, listening in streams.items():
            if piece := b"".join(found[job_id] for job_id in sorted(channel.wanted.jobs & found.keys())):
                _call(channel.loop, channel.deliver, piece)
            # From here on nothing that they log is missed; what was logged before, each reads itself.
            for stream in listening:
                _call(channel.loop, stream.listening.set)

    def _end_with_tokens(self, now: float) -> None:
        """End the streams of tokens that open nothing any more: one look for all of them, at most once a second."""
        if now - self._tokens_seen_at < TOKENS_EVERY:
            return
        self._tokens_seen_at = now
        with self._lock:
            streams = [stream for channel in self._channels.values() for stream in channel.streams if stream.token_id]
        good = tokens.still_opening((stream.token_id for stream in streams), Scope.READ) if streams else set()
        for stream in streams:
            if stream.token_id not in good:
                _call(stream.loop, stream.withdraw)


def _call(loop: asyncio.AbstractEventLoop, callback: object, *arguments: object) -> None:
    try:
        loop.call_soon_threadsafe(callback, *arguments)  # type: ignore[arg-type]
    except RuntimeError:
        # The loop is closed: its streams are gone.
        return


#: The process's only one.
hub = Hub()
