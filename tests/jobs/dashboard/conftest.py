"""What the dashboard's tests can ask for: a viewer's and an operator's browser, and no figures of another test."""

from collections.abc import Iterator

import pytest
from django.test import Client

from jobs.reports import remembered, throughput
from tests.jobs import people


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Forget the figures of the test before."""
    remembered.forget()
    throughput.forget()
    yield
    remembered.forget()
    throughput.forget()


@pytest.fixture
def viewer(db: None) -> Client:
    """Someone who may look and not act."""
    return people.viewer()


@pytest.fixture
def operator(db: None) -> Client:
    """Someone who may act."""
    return people.operator()
