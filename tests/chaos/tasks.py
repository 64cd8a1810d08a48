"""Jobs of mixed length and temper. Each writes its beginning and its end to the file of effects."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs import job
from tests.chaos.journal import EFFECTS, write


class Trouble(Exception):
    """What failing jobs raise."""


@contextmanager
def _effect(label: str) -> Iterator[None]:
    write(EFFECTS, label, "begin", os.getpid())
    yield
    write(EFFECTS, label, "end", os.getpid())


def _times(label: str) -> int:
    """Return how often this job has begun, by its own count beside the file of effects."""
    path = Path(os.environ[EFFECTS]).with_suffix(".d") / label
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(b".")
        return file.tell()


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def work(label: str, seconds: float) -> None:
    """Take some time."""
    with _effect(label):
        time.sleep(seconds)


@job(queue="chaos.failing", max_retries=20, retry_backoff=0.2, retry_backoff_max=1)
def flaky(label: str, failures: int) -> None:
    """Fail a few times first."""
    if _times(label) <= failures:
        raise Trouble(label)
    with _effect(label):
        pass


@job(queue="chaos.failing", max_retries=1, retry_backoff=0.2)
def broken(label: str) -> None:
    """Fail always."""
    raise Trouble(label)


@job(queue="chaos.failing", max_retries=20, retry_backoff=0.2, retry_backoff_max=1)
def deadly(label: str, deaths: int) -> None:
    """Kill the process, a few times or always."""
    if _times(label) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    with _effect(label):
        pass


@job(queue="chaos", max_retries=20, retry_backoff=0.3, retry_backoff_max=2)
def link(before: str | None, label: str) -> str:
    """Be a link of a chain."""
    with _effect(label):
        return label
