"""What happened, written where no fault reaches: one line for each event, appended atomically by any process."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: Names the file of effects, and the enqueuer's journal, to the processes concerned.
EFFECTS = "CHAOS_EFFECTS"
JOURNAL = "CHAOS_JOURNAL"

#: The file that is there, beside those, while what some jobs need is away.
AWAY = "dependency.away"

#: The table that jobs write into, which the faults do reach.
TABLE = "chaos_written"


def write(variable: str, *words: object) -> None:
    """Append one line, with the time, to the file that the environment variable names."""
    line = " ".join([str(time.monotonic_ns()), *map(str, words)]) + "\n"
    descriptor = os.open(os.environ[variable], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _lines(path: Path) -> Iterator[list[str]]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield line.split(" ")


@dataclass
class Run:
    """One execution of a job, as its effects tell it. `end` is None where the process died in between."""

    pid: int
    begin: int
    end: int | None = None


@dataclass
class Effects:
    """Every execution of every job, by the job's label."""

    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, path: Path) -> "Effects":
        """Read the file of effects."""
        effects = cls()
        for at, label, what, pid in _lines(path):
            runs = effects.runs[label]
            if what == "begin":
                runs.append(Run(int(pid), int(at)))
            else:
                mine = next(run for run in reversed(runs) if run.pid == int(pid) and run.end is None)
                mine.end = int(at)
        return effects

    def finished(self, label: str) -> int:
        """Return how often a job's effect happened in full."""
        return sum(run.end is not None for run in self.runs.get(label, []))

    def overlaps(self) -> list[str]:
        """Return the jobs of which one execution began while another one, that ended later, was under way."""
        found = []
        for label, runs in self.runs.items():
            ended = sorted((run for run in runs if run.end is not None), key=lambda run: run.begin)
            for run in runs:
                if any(other is not run and other.begin < run.begin < (other.end or 0) for other in ended):
                    found.append(label)
                    break
        return found


@dataclass
class Journal:
    """What the enqueuers did, by label: enqueued under which id, and how the transaction ended."""

    kinds: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Journal":
        """Read the enqueuers' journal."""
        journal = cls()
        for _, label, what, *rest in _lines(path):
            if what == "plan":
                journal.kinds[label] = rest[0]
                journal.ends[label] = "unknown"
            else:
                journal.ends[label] = what
        return journal

    def with_end(self, end: str) -> list[str]:
        """Return the labels whose transaction ended so: committed, rolledback or unknown."""
        return [label for label, there in self.ends.items() if there == end]
