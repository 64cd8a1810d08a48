"""What the tests of live events can ask for."""

from collections.abc import Iterator

import pytest

from jobs.events.hub import hub


@pytest.fixture(autouse=True)
def nobody_reads_on() -> Iterator[None]:
    """Stop the reader before its database is taken away."""
    yield
    hub.close()
