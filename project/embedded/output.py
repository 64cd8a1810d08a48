"""What the parts of the system print: a file for each, and the terminal for all, under their names."""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, TextIO

from honcho.printer import Message, Printer

#: A process that prints without end must not keep us from anything else.
LINES_AT_ONCE = 1000

OWN_NAME = "make up"


class Output:
    """Passes on what processes print.

    Args:
        logs: the folder of the parts' files.
        terminal: where all is printed.
        interrupt: called when nobody reads that any more, which is one more way to ask for the end.
    """

    def __init__(self, logs: Path, terminal: TextIO, interrupt: Callable[[], None]) -> None:
        self._logs = logs
        # Most of what is printed begins with a time of its own.
        self._printer = Printer(terminal, time_format="", width=len("mailcatcher"))
        self._interrupt = interrupt
        self._lines: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def begin(self, name: str) -> None:
        """Begin the file of a part anew."""
        self._file(name).unlink(missing_ok=True)

    def follow(self, name: str, colour: str, printed: IO[bytes]) -> None:
        """Read what a part's process prints, until its end, in a thread."""
        threading.Thread(target=self._read, args=(name, colour, printed), name=name, daemon=True).start()

    def _read(self, name: str, colour: str, printed: IO[bytes]) -> None:
        with printed:
            for line in printed:
                self._lines.put(Message("line", line, datetime.now(), name, colour))

    def lines(self, timeout: float) -> Iterator[Message]:
        """Yield the lines there are, at most `LINES_AT_ONCE`; wait so many seconds for the first one."""
        for _ in range(LINES_AT_ONCE):
            try:
                line = self._lines.get(timeout=timeout)
            except queue.Empty:
                return
            with self._file(line.name).open("ab") as log:
                log.write(line.data)
            yield line
            timeout = 0

    def say(self, text: str) -> None:
        """Print something of our own."""
        self.print(Message("line", text, datetime.now(), OWN_NAME, None))

    def print(self, message: Message) -> None:
        """Print a line."""
        try:
            self._printer.write(message)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._printer.output.fileno())
            os.close(nowhere)
            self._interrupt()

    def _file(self, name: str) -> Path:
        return self._logs / f"{name}.log"
