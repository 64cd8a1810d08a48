"""The backends that the contract is tested on."""

import os
import uuid
from collections.abc import Iterator

import pytest

from search.backends.base import SearchBackend
from search.backends.embedded import EmbeddedBackend
from search.backends.meilisearch import MeilisearchBackend
from tests.search.meilisearch import Meilisearch

#: A real server that the contract shall be tested on as well, and its key.
REAL_URL, REAL_KEY = os.environ.get("MEILISEARCH_TEST_URL", ""), os.environ.get("MEILISEARCH_TEST_API_KEY", "")
BACKENDS = ["embedded", "meilisearch", *(["real meilisearch"] if REAL_URL else [])]


@pytest.fixture
def meilisearch() -> Iterator[Meilisearch]:
    """A stand-in server."""
    with Meilisearch("a-key") as server:
        yield server


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> SearchBackend:
    """Each backend in turn. The embedded one is on the database of the run."""
    if request.param == "embedded":
        return EmbeddedBackend()
    if request.param == "meilisearch":
        return MeilisearchBackend(request.getfixturevalue("meilisearch").url, "a-key")
    return MeilisearchBackend(REAL_URL, REAL_KEY)


@pytest.fixture
def index() -> str:
    """The name of an index nobody else uses."""
    return f"test_{uuid.uuid4().hex[:12]}"
