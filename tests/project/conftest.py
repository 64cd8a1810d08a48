"""What tests of processes share."""

import pytest

from jobs.observability.health import DEPENDENCIES


@pytest.fixture
def no_answer_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have health ask each time: tests stop servers between two questions, also between two tests."""
    for dependency in DEPENDENCIES:
        monkeypatch.setattr(dependency, "fresh_seconds", 0.0)
