"""Fixtures for pytest: `pytest_plugins = ["jobs.testing.plugin"]` in the project's `conftest.py`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from jobs.testing.modes import inline, memory
from jobs.testing.workers import RealWorker, real_worker


@pytest.fixture
def jobs_in_memory(db: None) -> Iterator[None]:
    """Let jobs wait in the test's database until `run_jobs()`; no message is sent."""
    with memory():
        yield


@pytest.fixture
def jobs_inline() -> Iterator[None]:
    """Run jobs where they are called, without a row."""
    with inline():
        yield


@pytest.fixture
def start_real_worker(transactional_db: None) -> Iterator[Callable[..., RealWorker]]:
    """Start real workers; takes what `real_worker` takes. They are killed when the test ends."""
    with ExitStack() as stack:

        def start(**options: Any) -> RealWorker:
            return stack.enter_context(real_worker(**options))

        yield start
