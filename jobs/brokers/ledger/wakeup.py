"""A bell that rings an event loop: a pipe with at most one byte in it."""

import os


class Bell:
    """Wakes whoever watches `fileno`. May be rung by any thread, any number of times."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._rung = False

    def fileno(self) -> int:
        """Return what becomes readable when the bell was rung."""
        return self._read

    def ring(self) -> None:
        """Wake the loop, unless it is on its way already."""
        if not self._rung:
            self._rung = True
            os.write(self._write, b"!")

    def hush(self) -> None:
        """Be ready to ring again."""
        self._rung = False
        try:
            os.read(self._read, 64)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._read)
        os.close(self._write)
