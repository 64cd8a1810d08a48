"""What the engine's tests can ask for besides the fixtures of `tests/conftest.py`."""

from collections.abc import Iterator

import pytest

from jobs.enqueue.dispatcher import flush


@pytest.fixture(autouse=True)
def no_dispatcher_left() -> Iterator[None]:
    """End the thread that publishes, lest it work on the next test's database."""
    yield
    flush()
