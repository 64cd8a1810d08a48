"""Wakes an event loop from another thread: a pipe with at most one byte in it (a self-pipe)."""

import os


class Wakeup:
    """Wakes whoever watches `fileno`. May be set by any thread, any number of times."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._is_set = False

    def fileno(self) -> int:
        """Return what becomes readable once it is set."""
        return self._read

    def set(self) -> None:
        """Wake the loop, unless it is on its way already."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write, b"!")

    def clear(self) -> None:
        """Be ready to be set again."""
        try:
            os.read(self._read, 64)
        except BlockingIOError:
            pass
        # Not before it is read: what is set in between would be read here, and all that is set later kept silent.
        self._is_set = False

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._read)
        os.close(self._write)
