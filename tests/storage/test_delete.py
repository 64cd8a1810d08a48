"""`storage.delete`: many keys a request, partial failures alone, gone is gone."""

import pytest
from pytest_django.fixtures import Settings

from jobs import Permanent
from jobs.models import Job
from storage import deletion
from storage.errors import StorageError
from storage.tasks import delete, delete_all
from tests.servers import SeaweedFS
from tests.storage.stores import Stores

pytestmark = pytest.mark.django_db


def enqueued() -> list[tuple[str, list[str]]]:
    return [
        (store, keys)
        for store, keys in Job.objects.filter(task="storage.delete").order_by("id").values_list("args", flat=True)
    ]


def test_what_is_gone_already_counts_as_deleted(stores: Stores) -> None:
    stores.fill("posts/a", "posts/b")
    assert delete("content", ["posts/a", "posts/gone"]) == "2 of 2 deleted"
    assert delete("content", ["posts/a", "posts/gone"]) == "2 of 2 deleted"
    assert stores.keys() == ["posts/b"]


def test_keys_that_fail_get_a_job_without_the_others(stores: Stores) -> None:
    stores.fill("posts/a")
    assert delete("content", ["posts/a", "posts/../x", "posts/gone"]) == "2 of 3 deleted"
    assert stores.keys() == []
    assert enqueued() == [("content", ["posts/../x"])]


def test_that_job_gives_up_at_once_and_names_the_key(stores: Stores) -> None:
    with pytest.raises(Permanent, match=r"did not delete 1 object: 'posts/\.\./x' \(.*segment"):
        delete("content", ["posts/../x"])
    assert enqueued() == []


@pytest.mark.parametrize("setting, value", [("BUCKET", "nowhere"), ("SECRET_KEY", "wrong"), ("ENDPOINT", "")])
def test_what_waiting_cannot_mend_is_permanent(stores: Stores, settings: Settings, setting: str, value: str) -> None:
    setattr(settings, f"STORAGE_{setting}", value)
    with pytest.raises(Permanent, match="content store"):
        delete("content", ["posts/a"])


def test_a_store_that_is_gone_is_tried_again(stores: Stores, seaweedfs: SeaweedFS) -> None:
    seaweedfs.kill()
    with pytest.raises(StorageError, match="out of reach"):
        delete("content", ["posts/a"])


def test_any_number_of_keys_becomes_one_job_a_request() -> None:
    delete_all("assets", (f"posts/{number}" for number in range(2_500)))
    assert [len(keys) for _, keys in enqueued()] == [1000, 1000, 500]
    delete_all("assets", [])
    assert len(enqueued()) == 3


def test_long_keys_make_more_jobs_of_fewer_keys_which_fit_into_a_message() -> None:
    keys = ["posts/" + "é" * 500 for _ in range(300)]
    batches = list(deletion.batches(keys))
    assert sum(map(len, batches)) == 300
    assert len(batches) > 1
    delete_all("content", keys)
    assert len(enqueued()) == len(batches)
