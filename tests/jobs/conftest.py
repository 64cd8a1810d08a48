"""What the engine's tests can ask for besides the fixtures of `tests/conftest.py`."""

from collections.abc import Iterator

import pytest

from jobs.compose import ends
from jobs.enqueue.dispatcher import flush


@pytest.fixture(autouse=True)
def no_dispatcher_left() -> Iterator[None]:
    """End the threads that publish and that hear of ends, lest they work on the next test's database."""
    yield
    flush()
    ends.listener.stop()
