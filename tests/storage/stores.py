"""The fixture that gives a test both stores."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from pytest_django.fixtures import Settings

from storage import references
from storage.client import Store, store
from tests.servers import SeaweedFS


@dataclass(frozen=True)
class Stores:
    """Two empty buckets, to which the settings lead."""

    content: Store
    assets: Store

    def keys(self, name: str = "content") -> list[str]:
        """Return every key in a bucket."""
        return [one.key for page in store(name).pages() for one in page.objects]

    def fill(self, *keys: str, name: str = "content") -> None:
        """Write an object for each key."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store(name).put(key, b"x", content_type="image/webp"), keys))


@pytest.fixture
def stores(seaweedfs: SeaweedFS, settings: Settings) -> Stores:
    """Two empty buckets on the real server."""
    for prefix, bucket in (("STORAGE", "content"), ("ASSETS", "assets")):
        seaweedfs.create_bucket(bucket)
        setattr(settings, f"{prefix}_ENDPOINT", seaweedfs.url)
        setattr(settings, f"{prefix}_BUCKET", bucket)
        setattr(settings, f"{prefix}_ACCESS_KEY", seaweedfs.access_key)
        setattr(settings, f"{prefix}_SECRET_KEY", seaweedfs.secret_key)
    return Stores(store("content"), store("assets"))


@pytest.fixture
def in_use(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What something refers to, below `posts/`: the test says."""
    used: set[str] = set()
    monkeypatch.setattr(references, "_registry", {})
    references.register("posts/", lambda keys: used & set(keys))
    return used
