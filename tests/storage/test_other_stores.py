"""Stores of other makes, and objects that others made: deleting goes on, whatever one of them is."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings as effort, strategies as st
from pytest_django.fixtures import Settings

from jobs import Permanent
from storage import keys
from storage.client import KeyFailure, Store
from storage.errors import StorageError
from storage.orphans import Limits, sweep
from storage.tasks import delete, sweep_orphans
from tests.storage.other_stores import OtherStore, running

AT_ONCE = Limits(min_age=timedelta(0), max_share=1, max_count=100_000)

#: What is listed and goes, though we would give no object such a name.
ODD = [
    "a\x01b",
    "a\nb",
    "a\rb",
    "a\r\nb",
    "a\tb",
    "a\x7fb",
    "a\x85b",
    "a\ufffeb",
    "a\uffffb",
    "a\u2028b",
    "a\\b",
    "a//b",
    "//a",
    "/a",
    "a/./b",
    "a/../b",
    "../../etc/passwd",
    ".",
    "..",
    " ",
    "a ",
    "a?b",
    "a#b",
    "a%2Fb",
    "%",
    "&<>'\"]]>",
    "a+b",
    "é",
    "e\u0301",
    "😀",
    "x" * 1024,
    "posts/" + "\x01" * 9,
]
#: What is listed and stays.
KEPT = {"folder/": "folder", "a//": "folder", "/": "folder", "bad\ufffdname": "not UTF-8", "a\x01/../b": "in a URL"}


@pytest.fixture(scope="module")
def server() -> Iterator[OtherStore]:
    """One for all tests: a client of boto3 takes long to make."""
    with running(OtherStore()) as store:
        yield store


@pytest.fixture
def other(server: OtherStore) -> OtherStore:
    server.reset()
    return server


@pytest.fixture
def configured(other: OtherStore, settings: Settings) -> OtherStore:
    """The store to which the settings lead."""
    settings.STORAGE_ENDPOINT, settings.STORAGE_BUCKET = other.endpoint, "bucket"
    settings.STORAGE_ACCESS_KEY = settings.STORAGE_SECRET_KEY = "x"  # noqa: S105  No password.
    settings.ASSETS_ENDPOINT = ""
    settings.ORPHANS_MIN_AGE_SECONDS = 0
    return other


@pytest.mark.parametrize("key", ODD)
def test_whatever_is_listed_is_deleted(other: OtherStore, in_use: set[str], key: str) -> None:
    in_use.add("posts/used")
    other.keys |= {key, "posts/used", "posts/orphan", "b", "ab"}
    found = sweep(other.store, AT_ONCE)
    assert (found.orphans, found.deleted, found.kept) == (4, 4, 0)
    assert other.keys == {"posts/used"}


@pytest.mark.parametrize("key, reason", KEPT.items())
def test_what_must_be_left_alone_is_reported(other: OtherStore, in_use: set[str], key: str, reason: str) -> None:
    other.keys |= {key, "posts/orphan"}
    found = sweep(other.store, AT_ONCE)
    assert (found.deleted, found.kept) == (1, 1)
    assert f"1 deleted, 1 left alone: {keys.shown(key)} (" in str(found)
    assert reason in str(found)
    assert other.keys == {key}


def test_all_odd_objects_at_once_leave_the_job_well(configured: OtherStore, in_use: set[str]) -> None:
    configured.keys |= {*ODD, *KEPT}
    configured.refused = {"posts/locked": "AccessDenied", "posts/broken": "InternalError", "odd\x01": "AccessDenied"}
    configured.keys |= {*configured.refused}
    report = sweep_orphans()
    assert f"{len(ODD)} deleted, {len(KEPT) + 3} left alone" in report
    assert configured.keys == {*KEPT, *configured.refused}


@effort(max_examples=50)
@given(names=st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), max_size=20))
def test_of_any_names_nothing_else_is_deleted(server: OtherStore, names: set[str]) -> None:
    server.reset()
    server.keys |= {*names, "posts/used"}
    failures = server.store.delete_listed(sorted(names))
    assert server.keys == {failure.key for failure in failures} | {"posts/used"}


def test_a_store_that_insists_on_md5_gets_it_and_nothing_else(other: OtherStore) -> None:
    other.wants_md5 = True
    other.keys |= {"posts/a", "posts/b\r\n", "posts/c"}
    assert other.store.delete_listed(["posts/a", "posts/b\r\n"]) == []
    assert other.store.delete(["posts/none"]) == []
    assert other.keys == {"posts/c"}
    assert other.checksums == {"content-md5"}


@pytest.mark.parametrize("code", ["NotImplemented", "MethodNotAllowed", "MissingContentMD5", "InvalidDigest"])
def test_a_store_without_a_bulk_delete_gets_single_ones(configured: OtherStore, code: str) -> None:
    configured.bulk = code
    configured.refused = {"posts/locked": "AccessDenied"}
    configured.keys |= {"posts/a", "posts/b", "posts/locked"}
    kept = configured.store.delete(["posts/a", "posts/gone", "posts/locked"])
    assert kept == [KeyFailure("posts/locked", "AccessDenied: No.", permanent=True)]
    assert configured.keys == {"posts/b", "posts/locked"}
    assert delete("content", ["posts/b"]) == "1 of 1 deleted"


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown"])
def test_any_other_refusal_of_a_bulk_delete_is_no_reason_to_try_each(other: OtherStore, code: str) -> None:
    other.bulk = code
    other.keys.add("posts/a")
    with pytest.raises(StorageError, match=code):
        other.store.delete(["posts/a"])
    assert other.keys == {"posts/a"}


def test_a_key_that_spoils_the_request_fails_alone(configured: OtherStore, in_use: set[str]) -> None:
    configured.poison = "posts/poison"
    configured.refused = {"posts/poison": "InvalidArgument"}
    configured.keys |= {"posts/a", "posts/poison", "posts/z"}
    assert "2 deleted, 1 left alone: 'posts/poison' (InvalidArgument: No.)" in sweep_orphans()
    assert configured.keys == {"posts/poison"}


def test_a_region_is_a_setting(configured: OtherStore, settings: Settings) -> None:
    configured.region = "gra"
    configured.keys.add("posts/a")
    with pytest.raises(Permanent, match=r"is not in region 'us-east-1' .*Set STORAGE_REGION"):
        delete("content", ["posts/a"])
    settings.STORAGE_REGION = "gra"
    assert delete("content", ["posts/a"]) == "1 of 1 deleted"
    assert configured.keys == set()


def test_each_store_has_a_region_of_its_own(configured: OtherStore) -> None:
    conf = configured.store.conf
    assert (conf.region, conf.region_setting) == ("us-east-1", "STORAGE_REGION")
    assert replace(conf, name="assets").region_setting == "ASSETS_REGION"
    elsewhere = Store(replace(conf, region="eu-central-1"))
    assert elsewhere._s3.meta.region_name == "eu-central-1"
