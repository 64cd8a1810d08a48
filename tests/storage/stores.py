"""The fixture that gives a test both stores."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from pytest_django.fixtures import Settings

from project.embedded.seaweedfs import ensure_bucket
from storage import references
from storage.client import Store, store
from tests.environment import environment


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
def stores(settings: Settings) -> Stores:
    """Two empty buckets on the real server.

    They are emptied, not made anew as those of `seaweedfs` are: that takes the server seconds.
    """
    server = environment.seaweedfs.start()
    for prefix, bucket in (("STORAGE", "content"), ("ASSETS", "assets")):
        ensure_bucket(server.client, bucket)
        setattr(settings, f"{prefix}_ENDPOINT", server.url)
        setattr(settings, f"{prefix}_BUCKET", bucket)
        setattr(settings, f"{prefix}_ACCESS_KEY", server.access_key)
        setattr(settings, f"{prefix}_SECRET_KEY", server.secret_key)
    settings.ASSETS_PUBLIC_URL = ""
    emptied = Stores(store("content"), store("assets"))
    for one in (emptied.content, emptied.assets):
        for page in one.pages():
            for listed in page.objects:
                server.client.delete_object(Bucket=one.conf.bucket, Key=listed.key)
    return emptied


@pytest.fixture
def in_use(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What something refers to, below `posts/`: the test says."""
    used: set[str] = set()
    monkeypatch.setattr(references, "_registry", {})
    references.register("posts/", lambda keys: used & set(keys))
    return used
