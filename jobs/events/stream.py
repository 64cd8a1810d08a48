"""One client that listens: what waits to be sent to it. One that does not take what it is sent is dropped."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from jobs.events.change import Wanted

#: A client is dropped that has taken nothing for so many seconds while so many bytes wait for it; or for whom more
#: waits than anybody should be behind. The pieces are shared by all streams that want the same.
PATIENCE, MUCH, TOO_MUCH = 2.0, 500_000, 64_000_000

#: Silence after which a comment is sent, in seconds: proxies close what is silent, and we notice who has gone.
HEARTBEAT = 15.0


class Stream:
    """A client's stream. Everything but its making happens in the loop of its request."""

    def __init__(self, wanted: Wanted, caller: str = "") -> None:
        self.wanted = wanted
        #: Whose it is: a token's or a person's key.
        self.caller = caller
        self.loop = asyncio.get_running_loop()
        #: Set once nothing that commits from then on is missed.
        self.listening = asyncio.Event()
        self.dropped = False
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._took_at = 0.0
        self._ended = False
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[object] | None = None

    def push(self, piece: bytes) -> None:
        """Send a piece as soon as the client takes it; drop a client for whom too much waits."""
        if self._ended:
            return
        if not self._waiting:
            self._took_at = max(self._took_at, self.loop.time() - PATIENCE / 2)
        self._waiting.append(piece)
        self._size += len(piece)
        idle = self.loop.time() - self._took_at
        if self._size > TOO_MUCH or (self._size > MUCH and idle > PATIENCE):
            self._drop()
        self._arrived.set()

    def end(self) -> None:
        """End after what waits has been sent: the server stops."""
        self._ended = True
        self.listening.set()
        self._arrived.set()

    @property
    def token_id(self) -> int:
        """The token whose it is; 0 where it is a person's."""
        kind, _, key = self.caller.partition(":")
        return int(key) if kind == "token" else 0

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be sent, or only what waits."""
        return self._ended

    def withdraw(self) -> None:
        """End now, with nothing more sent: whoever listens may no longer."""
        self._waiting.clear()
        self._size = 0
        self.end()

    def cancel(self) -> None:
        """Cancel the task that sends, where the client does not take what was sent before the end."""
        if self._task is not None:
            self._task.cancel()

    def attend(self) -> None:
        """Note the task that sends: where the client is dropped it hangs in that."""
        self._task = asyncio.current_task()

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Return what is to be sent, for as long as the client takes it."""
        while True:
            while self._waiting:
                piece = self._waiting.popleft()
                self._size -= len(piece)
                self._took_at = self.loop.time()
                yield piece
            if self._ended:
                return
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), HEARTBEAT)
            except TimeoutError:
                yield b": still here\n\n"

    def _drop(self) -> None:
        self.dropped = self._ended = True
        self._waiting.clear()
        self._size = 0
        self.cancel()
