"""The client: what it does on a real server, and how every failure reads."""

import dataclasses
import io

import pytest
from pytest_django.fixtures import Settings

from storage.client import Store, store
from storage.conf import StoreConf
from storage.errors import ObjectMissing, StorageError
from tests.servers import SeaweedFS
from tests.storage.stores import Stores


def changed(stores: Stores, **changes: object) -> Store:
    return Store(dataclasses.replace(stores.content.conf, **changes))  # type: ignore[arg-type]


def test_what_is_written_is_read(stores: Stores) -> None:
    stores.content.put("posts/a.png", io.BytesIO(b"bytes"), content_type="image/png")
    found = stores.content.get("posts/a.png", limit=10)
    assert (found.data, found.content_type) == (b"bytes", "image/png")
    assert stores.content.get("posts/a.png", limit=10, etag=found.etag).data == b"bytes"


def test_a_missing_object_is_said_to_be_missing(stores: Stores) -> None:
    with pytest.raises(ObjectMissing, match=r"posts/none.*content store"):
        stores.content.get("posts/none", limit=10)


def test_an_object_over_the_limit_is_not_read(stores: Stores) -> None:
    stores.fill("posts/a")
    with pytest.raises(StorageError, match="1 bytes: it must not have more than 0") as failure:
        stores.content.get("posts/a", limit=0)
    assert failure.value.permanent


def test_an_object_that_changed_is_not_read_for_the_earlier_one(stores: Stores) -> None:
    stores.fill("posts/a")
    etag = stores.content.get("posts/a", limit=10).etag
    stores.content.put("posts/a", b"another", content_type="image/png")
    with pytest.raises(StorageError, match="PreconditionFailed") as failure:
        stores.content.get("posts/a", limit=10, etag=etag)
    assert failure.value.permanent


def test_deleting_takes_more_keys_than_one_request_does_and_what_is_gone_counts(stores: Stores) -> None:
    stores.fill("posts/1", "posts/1001")
    assert stores.content.delete([f"posts/{number}" for number in range(1_002)]) == []
    assert stores.keys() == []


def test_a_bad_key_fails_alone(stores: Stores) -> None:
    stores.fill("posts/a")
    failures = stores.content.delete(["posts/../b", "posts/a", "posts/\x01"])
    assert [(failure.key, failure.permanent) for failure in failures] == [("posts/../b", True), ("posts/\x01", True)]
    assert stores.keys() == []


def test_a_listing_has_pages_and_the_clock_of_the_store(stores: Stores) -> None:
    stores.fill(*(f"posts/{number:04}" for number in range(1_001)), "other/x")
    pages = list(stores.content.pages("posts/"))
    assert [len(page.objects) for page in pages] == [1000, 1]
    assert pages[0].objects[0].key == "posts/0000"
    assert abs((pages[0].now - pages[0].objects[0].modified).total_seconds()) < 60


@pytest.mark.parametrize("key", ["posts/a b+c%20ü=2F.txt", "posts/&<>'\"", "posts/%2e%2e", "posts/日本"])
def test_odd_but_valid_keys_keep_their_name(stores: Stores, key: str) -> None:
    stores.fill(key)
    assert stores.keys() == [key]
    assert stores.content.delete([key]) == []
    assert stores.keys() == []


def test_a_missing_bucket_is_named_and_permanent(stores: Stores) -> None:
    missing = changed(stores, bucket="nowhere")
    for ask in (lambda: missing.get("a", limit=1), lambda: missing.delete(["a"]), lambda: list(missing.pages())):
        with pytest.raises(StorageError, match=r"bucket nowhere at http\S+\) does not exist. Create") as failure:
            ask()
        assert failure.value.permanent


@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_wrong_credentials_are_permanent_and_not_shown(stores: Stores, wrong: str) -> None:
    with pytest.raises(StorageError, match="refuses our credentials") as failure:
        changed(stores, **{wrong: "mistaken"}).delete(["a"])
    assert failure.value.permanent
    assert "mistaken" not in str(failure.value)


def test_a_server_that_is_gone_may_come_back(stores: Stores, seaweedfs: SeaweedFS) -> None:
    seaweedfs.kill()
    with pytest.raises(
        StorageError, match=r"Could not delete 1 object.*: the content store .* is out of reach"
    ) as failure:
        stores.content.delete(["a"])
    assert not failure.value.permanent


def test_a_server_that_hangs_is_not_waited_for(stores: Stores, seaweedfs: SeaweedFS) -> None:
    impatient = changed(stores, read_seconds=0.3)
    seaweedfs.pause()
    with pytest.raises(StorageError, match=r"did not answer within 0\.3 s") as failure:
        impatient.get("a", limit=1)
    assert not failure.value.permanent


def test_a_store_without_settings_says_which_are_missing(settings: Settings) -> None:
    settings.ASSETS_ENDPOINT, settings.ASSETS_BUCKET = "http://localhost", ""
    settings.ASSETS_ACCESS_KEY = settings.ASSETS_SECRET_KEY = "x"  # noqa: S105  No password.
    with pytest.raises(StorageError, match="The assets store is not configured: set ASSETS_BUCKET,") as failure:
        store("assets")
    assert failure.value.permanent


def test_there_is_no_third_store() -> None:
    with pytest.raises(StorageError, match="no store 'attic': it must be one of content, assets"):
        store("attic")


def test_secrets_stay_out_of_what_is_shown() -> None:
    conf = StoreConf("content", "http://localhost", "bucket", "key", "hush")
    assert "hush" not in f"{conf!r} {conf}"


def test_urls_lead_to_the_public_address_or_through_the_site(stores: Stores) -> None:
    assert stores.content.url("posts/a b") == "/media/content/posts/a%20b"
    assert (
        changed(stores, public_url="https://cdn.example.com").url("posts/=20b") == "https://cdn.example.com/posts/=20b"
    )
