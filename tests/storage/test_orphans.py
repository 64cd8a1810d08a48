"""`storage.orphans`: what nothing refers to goes, unless that is too much to be true."""

from collections.abc import Collection
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from jobs import Permanent
from jobs.models import Job
from storage import references
from storage.errors import StorageError
from storage.orphans import Limits, Sweep, sweep
from storage.tasks import sweep_orphans
from tests.storage.stores import Stores
from tests.waiting import wait_for

AT_ONCE = Limits(min_age=timedelta(seconds=-5), max_share=0.2, max_count=100)


@pytest.fixture(autouse=True)
def no_waiting(settings: Settings) -> None:
    settings.ORPHANS_MIN_AGE_SECONDS = -5


def test_orphans_go_and_what_is_used_stays(stores: Stores, in_use: set[str]) -> None:
    in_use.add("posts/used")
    stores.fill("posts/used", "posts/orphan", "nobody's/own")
    found = sweep(stores.content, AT_ONCE)
    assert (found.seen, found.orphans, found.deleted) == (3, 2, 2)
    assert stores.keys() == ["posts/used"]


def test_young_objects_are_left_alone(stores: Stores, in_use: set[str]) -> None:
    stores.fill("posts/young")
    limits = Limits(min_age=timedelta(hours=1), max_share=1, max_count=100)
    assert sweep(stores.content, limits) == Sweep(str(stores.content.conf), seen=1)
    assert stores.keys() == ["posts/young"]


def test_age_is_told_from_the_store(stores: Stores, in_use: set[str]) -> None:
    stores.fill("posts/orphan")
    limits = Limits(min_age=timedelta(seconds=1), max_share=1, max_count=100)
    assert wait_for(lambda: sweep(stores.content, limits).deleted) == 1


def test_a_dry_run_counts_and_deletes_nothing(stores: Stores, in_use: set[str]) -> None:
    stores.fill("posts/orphan")
    found = sweep(stores.content, AT_ONCE, dry_run=True)
    assert (found.orphans, found.orphan_bytes, found.deleted) == (1, 1, 0)
    assert stores.keys() == ["posts/orphan"]


def test_more_pages_than_one(stores: Stores, in_use: set[str]) -> None:
    in_use.update(f"posts/{number:04}" for number in range(1_050))
    stores.fill(*sorted(in_use), *(f"posts/orphan{number}" for number in range(60)))
    assert sweep(stores.content, AT_ONCE).deleted == 60
    assert stores.keys() == sorted(in_use)


@pytest.mark.parametrize(
    "orphans, seen, allowed",
    [(99, 99, True), (100, 100, False), (100, 499, False), (100, 500, True), (0, 0, True), (10**6, 5 * 10**6, True)],
)
def test_the_limit_is_a_share_and_a_number(orphans: int, seen: int, allowed: bool) -> None:
    assert AT_ONCE.allow(orphans, seen) is allowed


def test_a_database_that_knows_nothing_empties_no_bucket(stores: Stores, in_use: set[str]) -> None:
    stores.fill(*(f"posts/{number}" for number in range(100)))
    with pytest.raises(
        StorageError, match=r"Nothing was deleted .* 100 objects 100 \(100%\).*ORPHANS_MAX_SHARE"
    ) as refusal:
        sweep(stores.content, AT_ONCE)
    assert refusal.value.permanent
    assert len(stores.keys()) == 100


def test_without_anybody_who_tells_nothing_is_deleted(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "_registry", {})
    stores.fill("posts/a")
    with pytest.raises(StorageError, match="No app tells"):
        sweep(stores.content, AT_ONCE)


def test_a_key_that_comes_into_use_meanwhile_stays(stores: Stores, in_use: set[str]) -> None:
    stores.fill("posts/late", "posts/orphan")
    asked: list[Collection[str]] = []

    def changing(keys: Collection[str]) -> set[str]:
        asked.append(keys)
        return set() if len(asked) == 1 else {"posts/late"}

    references.register("posts/", changing)
    assert sweep(stores.content, AT_ONCE).deleted == 1
    assert stores.keys() == ["posts/late"]


@pytest.mark.parametrize("key", ["a\x01b", "a\ufffeb", "a\nb", "a\rb", "a\x7fb", " "])
def test_an_orphan_of_an_odd_name_goes_as_the_others_do(stores: Stores, in_use: set[str], key: str) -> None:
    in_use.add("posts/used")
    stores.content._s3.put_object(Bucket="content", Key=key, Body=b"x")
    stores.fill("posts/orphan", "posts/used")
    assert sweep(stores.content, AT_ONCE).deleted == 2
    assert stores.keys() == ["posts/used"]


def test_what_stands_for_a_folder_is_left_alone_and_told(
    stores: Stores, in_use: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    stores.content._s3.put_object(Bucket="content", Key="folder/", Body=b"")
    stores.fill("posts/orphan")
    assert "1 deleted, 1 left alone: 'folder/' (it stands for a folder)" in sweep_orphans()
    assert "1 left alone: 'folder/'" in caplog.text
    assert stores.keys() == ["folder/"]
    stores.content._s3.delete_object(Bucket="content", Key="folder/")


def test_the_job_sweeps_both_stores(stores: Stores, in_use: set[str]) -> None:
    stores.fill("posts/a")
    stores.fill("posts/b", "posts/c", name="assets")
    assert sweep_orphans().count("deleted") == 2
    assert stores.keys() == stores.keys("assets") == []


def test_one_refusal_does_not_keep_the_other_store_from_being_swept(stores: Stores, in_use: set[str]) -> None:
    stores.fill(*(f"posts/{number}" for number in range(100)))
    stores.fill("posts/b", name="assets")
    with pytest.raises(Permanent, match="Nothing was deleted from the content store"):
        sweep_orphans()
    assert stores.keys("assets") == []


def test_a_bucket_that_is_both_stores_is_swept_once(stores: Stores, in_use: set[str], settings: Settings) -> None:
    settings.ASSETS_BUCKET = settings.STORAGE_BUCKET
    stores.fill("posts/a")
    assert sweep_orphans().count("1 deleted") == 1


def test_an_unconfigured_store_is_a_clear_end(settings: Settings) -> None:
    settings.STORAGE_ENDPOINT = ""
    with pytest.raises(Permanent, match="set STORAGE_ENDPOINT"):
        sweep_orphans()


def test_the_command_counts(stores: Stores, in_use: set[str]) -> None:
    stores.fill("posts/orphan")
    output = StringIO()
    call_command("orphans", stdout=output)
    assert "content store" in output.getvalue()
    assert "1 of them orphans" in output.getvalue()
    assert stores.keys() == ["posts/orphan"]


@pytest.mark.django_db
def test_the_command_enqueues_on_request() -> None:
    output = StringIO()
    call_command("orphans", "--delete", stdout=output)
    job = Job.objects.get(task="storage.orphans")
    assert str(job.id) in output.getvalue()


def test_the_command_says_what_is_missing(settings: Settings) -> None:
    settings.STORAGE_BUCKET = ""
    with pytest.raises(CommandError, match="STORAGE_BUCKET"):
        call_command("orphans")
