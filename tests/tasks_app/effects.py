"""What the tasks of the tests did, written where neither database nor broker can lose or repeat it."""

import os
from pathlib import Path

#: Names the file to a worker; set by the acceptance harness.
VARIABLE = "EFFECTS_FILE"


def record(effect: str) -> None:
    """Append one line to the file of effects, atomically however many processes write."""
    descriptor = os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, f"{effect}\n".encode())
    finally:
        os.close(descriptor)


class Effects:
    """The test's view of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        """Return every effect so far, in order."""
        return self.path.read_text().splitlines() if self.path.exists() else []

    def count(self, effect: str) -> int:
        """Return how often exactly this effect happened."""
        return self.lines().count(effect)

    def clear(self) -> None:
        """Forget what happened so far."""
        self.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self.lines())
