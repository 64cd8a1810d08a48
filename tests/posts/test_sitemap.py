"""The sitemap: valid, complete, within its limits, replaced in an order in which nobody finds half of it."""

import gzip
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone as zones
from pathlib import Path

import pytest
from django.test import Client
from lxml import etree
from pytest_django.fixtures import Settings

from accounts.models import User
from jobs import Permanent
from posts import services
from posts.models import Post
from posts.sitemap import build, place, xml
from posts.sitemap.shards import Limits, shards
from posts.tasks import show_variants, write_sitemap
from storage.errors import StorageError
from tests.posts.conftest import upload
from tests.servers import SeaweedFS
from tests.storage.stores import Stores

SCHEMAS = Path(__file__).parent / "schemas"
SPACES = {"s": "http://www.sitemaps.org/schemas/sitemap/0.9", "i": "http://www.google.com/schemas/sitemap-image/1.1"}


def valid(document: bytes, schema: str) -> etree._Element:
    """Return the parsed document. Raises DocumentInvalid where it breaks the protocol."""
    root = etree.fromstring(document)
    etree.XMLSchema(etree.parse(SCHEMAS / f"{schema}.xsd")).assertValid(root)
    return root


def texts(root: etree._Element, path: str) -> list[str]:
    """Return the texts at an XPath."""
    found = root.xpath(path, namespaces=SPACES)
    assert isinstance(found, list)
    return [str(text) for text in found]


def shards_of(stores: Stores) -> list[bytes]:
    """Return the shards in the order of the index, which must be valid and name every one there is."""
    index = valid(stores.assets.get(place.INDEX, limit=10**7).data, "index")
    names = [address.rpartition("/")[2] for address in texts(index, "//s:loc/text()")]
    assert sorted(map(place.shard_key, names)) == [key for key in stores.keys("assets") if key != place.INDEX]
    return [gzip.decompress(stores.assets.get(place.shard_key(name), limit=10**7).data) for name in names]


def locations(shard: bytes) -> list[str]:
    return texts(valid(shard, "sitemap"), "//s:loc/text()")


def entries(count: int) -> Iterator[bytes]:
    return (xml.entry(f"https://example.com/{number}") for number in range(count))


# The protocol


def test_an_entry_is_escaped_and_its_time_is_utc() -> None:
    changed = datetime(2026, 3, 29, 2, 30, 5, 999, tzinfo=zones(timedelta(hours=2)))
    made = xml.entry("https://e.com/?a=1&b=<2>", changed, ["https://e.com/a&b.jpg"])
    [url] = valid(xml.HEAD + made + xml.FOOT, "sitemap")
    assert url.findtext("s:loc", namespaces=SPACES) == "https://e.com/?a=1&b=<2>"
    assert url.findtext("s:lastmod", namespaces=SPACES) == "2026-03-29T00:30:05+00:00"
    assert url.findtext("i:image/i:loc", namespaces=SPACES) == "https://e.com/a&b.jpg"


def test_an_entry_has_no_more_images_than_the_protocol_takes() -> None:
    assert xml.entry("https://e.com/", None, ["https://e.com/a"] * 1_001).count(b"<image:image>") == 1_000


def test_the_index_is_valid() -> None:
    index = valid(xml.index(["https://e.com/a&b"], datetime(2026, 1, 1, tzinfo=UTC)), "index")
    assert index.findtext("s:sitemap/s:loc", namespaces=SPACES) == "https://e.com/a&b"


def test_a_shard_ends_before_the_number_of_its_entries_is_exceeded(tmp_path: Path) -> None:
    assert [shard.urls for shard in shards(entries(7), tmp_path, Limits(urls=3))] == [3, 3, 1]
    assert [shard.urls for shard in shards(entries(6), tmp_path, Limits(urls=3))] == [3, 3]


def test_a_shard_ends_before_its_size_is_exceeded(tmp_path: Path) -> None:
    one = len(next(entries(1)))
    limit = len(xml.HEAD) + len(xml.FOOT) + 3 * one
    sizes = [
        (shard.urls, len(gzip.decompress(shard.path.read_bytes())))
        for shard in shards(entries(7), tmp_path, Limits(size=limit))
    ]
    assert sizes == [(3, limit), (3, limit), (1, limit - 2 * one)]


def test_one_file_at_a_time_is_on_the_disk(tmp_path: Path) -> None:
    for _ in shards(entries(9), tmp_path, Limits(urls=2)):
        assert len(list(tmp_path.iterdir())) <= 2
    assert list(tmp_path.iterdir()) == []


def test_the_same_entries_make_the_same_file(tmp_path: Path) -> None:
    def read() -> list[tuple[str, bytes]]:
        return [(shard.digest, shard.path.read_bytes()) for shard in shards(entries(3), tmp_path)]

    assert read() == read()


def test_the_limits_are_those_of_the_protocol() -> None:
    assert Limits() == Limits(urls=50_000, size=52_428_800)


# The job


@pytest.mark.django_db
def test_an_empty_site_has_a_valid_sitemap(stores: Stores) -> None:
    assert write_sitemap() == "2 addresses in 1 shards; 0 stale ones removed"
    assert [locations(shard) for shard in shards_of(stores)] == [["http://testserver/", "http://testserver/posts/"]]


def test_published_posts_are_listed_with_times_and_images(
    stores: Stores, write: Callable[..., Post], settings: Settings
) -> None:
    settings.ASSETS_PUBLIC_URL = "https://cdn.example.com"
    ready, plain = write("Ready", uploads=[upload(), upload()]), write("Plain & simple")
    write("Draft", publish=False)
    first = ready.images.all()[0]
    key = first.key.rpartition("/")[0] + "/w320.webp"
    show_variants([{"key": key, "width": 320, "height": 160}], str(first.pk))
    build.write()
    [shard] = shards_of(stores)
    assert locations(shard)[2:] == [f"http://testserver{post.get_absolute_url()}" for post in (ready, plain)]
    root = etree.fromstring(shard)
    # What has no variants yet cannot be seen by everybody.
    assert texts(root, "//i:loc/text()") == [f"https://cdn.example.com/{key}"]
    assert texts(root, "//s:lastmod/text()") == [xml.moment(post.changed_at) for post in (ready, plain)]


def test_more_posts_than_a_batch_are_all_listed_once(
    stores: Stores, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posts.sitemap.pages.BATCH", 7)
    now = datetime.now(UTC)
    Post.objects.bulk_create(
        Post(author=ada, title="T", slug=f"t-{number}", text="x", published_at=now if number % 3 else None)
        for number in range(50)
    )
    build.write(limits=Limits(urls=10))
    listed = [location for shard in shards_of(stores) for location in locations(shard)]
    expected = {f"http://testserver/posts/t-{number}/" for number in range(50) if number % 3}
    assert set(listed[2:]) == expected
    assert len(listed) == len(expected) + 2


def test_stale_shards_go_after_the_index_is_written(stores: Stores) -> None:
    build.write(entries(6), Limits(urls=2))
    before = set(stores.keys("assets"))
    written = build.write(entries(3), Limits(urls=2))
    assert (written.urls, written.shards, written.removed) == (3, 2, 2)
    # The first shard is the same, the second another one.
    assert len(before & set(stores.keys("assets"))) == 2
    assert sum(len(locations(shard)) for shard in shards_of(stores)) == 3


def test_a_run_that_fails_leaves_the_old_sitemap_whole(stores: Stores) -> None:
    build.write(entries(4), Limits(urls=2))
    before = shards_of(stores)

    def failing() -> Iterator[bytes]:
        yield from entries(3)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        build.write(failing(), Limits(urls=2))
    assert [locations(shard) for shard in before] == [
        [f"https://example.com/{number}" for number in pair] for pair in ((0, 1), (2, 3))
    ]
    build.write(entries(4), Limits(urls=2))
    assert shards_of(stores) == before


def test_a_run_whose_shards_another_one_took_for_stale_begins_again(stores: Stores) -> None:
    def overtaken() -> Iterator[bytes]:
        yield from entries(3)
        build.write(entries(1))
        stores.assets.delete([key for key in stores.keys("assets") if "-00001-" in key])
        build.write(entries(1))
        yield from entries(1)

    with pytest.raises(StorageError, match="Another run of the sitemap removed 1 shards") as failure:
        build.write(overtaken(), Limits(urls=2))
    assert not failure.value.permanent
    # What it left behind goes with the next run.
    build.write(entries(4), Limits(urls=2))
    assert len(shards_of(stores)) == 2


@pytest.mark.django_db
def test_a_store_without_settings_is_a_clear_end(settings: Settings) -> None:
    settings.ASSETS_ENDPOINT = ""
    with pytest.raises(Permanent, match="The assets store is not configured: set ASSETS_ENDPOINT"):
        write_sitemap()


@pytest.mark.django_db
def test_a_store_that_is_gone_is_tried_again(stores: Stores, seaweedfs: SeaweedFS) -> None:
    seaweedfs.kill()
    with pytest.raises(StorageError, match="out of reach"):
        write_sitemap()


# Served


def test_crawlers_find_it(client: Client, stores: Stores, write: Callable[..., Post]) -> None:
    write()
    robots = client.get("/robots.txt")
    assert robots["Content-Type"].startswith("text/plain")
    assert "Sitemap: http://testserver/sitemap.xml\n" in robots.text
    assert client.get("/sitemap.xml").status_code == 404
    build.write()
    index = client.get("/sitemap.xml")
    assert index["Content-Type"] == "application/xml"
    [address] = texts(valid(index.content, "index"), "//s:loc/text()")
    # A sitemap may only list what lies beside or below it.
    assert address.count("/") == 3
    shard = client.get(address.removeprefix("http://testserver"))
    assert shard["Content-Type"] == "application/gzip"
    assert len(locations(gzip.decompress(shard.content))) == 3


def test_other_shards_are_not_there(client: Client, stores: Stores) -> None:
    assert client.get("/sitemap-00001-0123456789abcdef.xml.gz").status_code == 404
    assert client.get("/sitemap-1-x.xml.gz").status_code == 404


def test_a_silent_store_is_said_to_be_silent(client: Client, stores: Stores, seaweedfs: SeaweedFS) -> None:
    seaweedfs.kill()
    assert client.get("/sitemap.xml").status_code == 503


def test_a_post_taken_back_is_gone_from_the_next_one(stores: Stores, write: Callable[..., Post]) -> None:
    post = write()
    build.write()
    services.unpublish(post)
    build.write()
    assert locations(shards_of(stores)[0]) == ["http://testserver/", "http://testserver/posts/"]
