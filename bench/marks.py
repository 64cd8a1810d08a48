"""When each job was called and when it ran: two arrays in a file that all processes map into their memory.

A mark costs about a microsecond and no system call, so both sides can be watched alike without being slowed down.
Times are of the machine's monotonic clock, which is the same in all processes.
"""

import mmap
import os
import time
from functools import cache
from pathlib import Path

#: Where processes find the file.
VARIABLE = "BENCH_MARKS"

#: Jobs the file has room for.
ROOM = 200_000
_BYTES = 8

#: Where the jobs of a flood leave the one mark that they all have.
FLOODED = ROOM - 1


class Marks:
    """The two arrays. Jobs are numbered from 0."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), ROOM * _BYTES * 2)
        view = memoryview(self._map).cast("d")
        self._called, self._ran = view[:ROOM], view[ROOM:]

    @classmethod
    def create(cls, path: Path) -> "Marks":
        """Make an empty file and open it."""
        with path.open("wb") as file:
            file.truncate(ROOM * _BYTES * 2)
        return cls(path)

    def clear(self) -> None:
        """Forget all marks."""
        self._map[:] = bytes(len(self._map))

    def called(self, number: int) -> None:
        """Note that the job is about to be enqueued."""
        self._called[number] = time.monotonic()

    def ran(self, number: int) -> None:
        """Note that the job's body ran."""
        self._ran[number] = time.monotonic()

    def first_call(self) -> float:
        """Return when the first job was about to be enqueued."""
        return self._called[0]

    def has_run(self, number: int) -> bool:
        """Return whether the job's body ran."""
        return self._ran[number] > 0

    def ran_at(self, number: int) -> float:
        """Return when the job's body ran, by the monotonic clock."""
        return self._ran[number]

    def all_ran(self, jobs: int) -> bool:
        """Return whether the first `jobs` jobs ran; cheap while they did not."""
        # The last ones first: most jobs run in order.
        return all(self._ran[number] for number in range(jobs - 1, -1, -1))

    def last(self, jobs: int) -> float:
        """Return when the last of these jobs ran."""
        return max(self._ran[:jobs].tolist())

    def latencies(self, jobs: int) -> list[float]:
        """Return the seconds from each call to its job's body."""
        return [ran - called for called, ran in zip(self._called[:jobs], self._ran[:jobs], strict=True)]


@cache
def marks() -> Marks:
    """Return the marks of this run."""
    return Marks(Path(os.environ[VARIABLE]))
