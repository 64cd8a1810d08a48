"""`storage.image`: fetch → resize → upload, each stage repeatable."""

import signal

import pytest
from celery import signature
from celery.exceptions import SoftTimeLimitExceeded

from jobs import Cancel, Permanent
from jobs.models import Job
from storage import pipeline
from storage.errors import StorageError
from storage.tasks import fetch_image, process_image, resize_image, upload_image
from tests.servers import SeaweedFS
from tests.storage.pictures import animation, picture, png_claiming, with_scans
from tests.storage.stores import Stores

SOURCE, TARGET = "posts/1/original.jpg", "posts/1"
KEYS = ["posts/1/w320.webp", "posts/1/w640.webp", "posts/1/w1280.webp"]


@pytest.fixture
def original(stores: Stores, in_use: set[str]) -> str:
    stores.content.put(SOURCE, picture(700, 350), content_type="image/jpeg")
    in_use.add(SOURCE)
    return SOURCE


def test_the_stages_turn_an_original_into_public_variants(stores: Stores, original: str) -> None:
    made = upload_image(resize_image(fetch_image(original, TARGET)))
    assert [(one["key"], one["width"], one["height"]) for one in made] == [
        (KEYS[0], 320, 160),
        (KEYS[1], 640, 320),
        (KEYS[2], 700, 350),
    ]
    assert stores.keys("assets") == sorted(KEYS)
    assert stores.assets.get(KEYS[0], limit=10**6).content_type == "image/webp"
    assert stores.keys() == [SOURCE]


def test_each_stage_can_be_repeated(stores: Stores, original: str) -> None:
    fetched = fetch_image(original, TARGET)
    assert fetch_image(original, TARGET) == fetched
    resized = resize_image(fetched)
    assert resize_image(fetched) == resized
    made = upload_image(resized)
    before = [stores.assets.get(one["key"], limit=10**6).etag for one in made]
    # What waited for the upload is gone by now, as it is where a worker died after its last write.
    assert upload_image(resized) == made
    assert [stores.assets.get(one["key"], limit=10**6).etag for one in made] == before
    assert stores.keys() == [SOURCE]


def test_swept_work_is_made_again(stores: Stores, original: str) -> None:
    resized = resize_image(fetch_image(original, TARGET))
    stores.content.delete([f"work/{KEYS[1]}"])
    assert len(upload_image(resized)) == 3
    assert stores.keys("assets") == sorted(KEYS)


def test_an_image_deleted_before_its_job_ran_is_no_failure(stores: Stores, in_use: set[str]) -> None:
    with pytest.raises(Cancel, match="was deleted"):
        fetch_image(SOURCE, TARGET)


def test_an_original_that_is_missing_although_in_use_is_a_failure(stores: Stores, in_use: set[str]) -> None:
    in_use.add(SOURCE)
    with pytest.raises(Permanent, match="has no such object"):
        fetch_image(SOURCE, TARGET)


def test_an_image_deleted_during_its_upload_leaves_nothing(stores: Stores, original: str, in_use: set[str]) -> None:
    resized = resize_image(fetch_image(original, TARGET))
    in_use.clear()
    with pytest.raises(Cancel, match="was deleted"):
        upload_image(resized)
    assert stores.keys("assets") == []


def test_an_original_that_became_another_one_is_not_taken_for_the_first(stores: Stores, original: str) -> None:
    fetched = fetch_image(original, TARGET)
    stores.content.put(SOURCE, picture(90, 90), content_type="image/jpeg")
    with pytest.raises(Permanent, match="PreconditionFailed"):
        resize_image(fetched)


@pytest.mark.parametrize("data", [b"no image", png_claiming(30_000, 30_000), picture(400, 300)[:3000]])
def test_what_is_no_image_ends_at_the_first_stage(stores: Stores, in_use: set[str], data: bytes) -> None:
    stores.content.put(SOURCE, data, content_type="image/jpeg")
    in_use.add(SOURCE)
    with pytest.raises(Permanent, match="image"):
        fetch_image(SOURCE, TARGET)


def test_a_key_that_climbs_is_refused(stores: Stores) -> None:
    with pytest.raises(Permanent, match=r"'posts/\.\./x' is not valid"):
        fetch_image("posts/../x", TARGET)
    with pytest.raises(Permanent, match=r"'\.\./x' is not valid"):
        fetch_image(SOURCE, "../x")


@pytest.mark.parametrize(
    "data", [with_scans(306), animation(frames=100, width=900, height=900, mode="L")], ids=["scans", "frames"]
)
def test_what_would_take_too_long_to_decode_ends_before_it_is(stores: Stores, in_use: set[str], data: bytes) -> None:
    stores.content.put(SOURCE, data, content_type="image/jpeg")
    in_use.add(SOURCE)
    with pytest.raises(Permanent, match=r"306 scans|100 pictures"):
        fetch_image(SOURCE, TARGET)


def test_a_soft_time_limit_ends_an_image_for_good(stores: Stores, original: str) -> None:
    stores.content.put(SOURCE, animation(frames=60, width=700, height=700), content_type="image/gif")
    fetched = fetch_image(original, TARGET)

    def expire(*_: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Permanent, match="takes more than 90 s"):
            resize_image(fetched)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_store_that_is_gone_is_tried_again(original: str, seaweedfs: SeaweedFS) -> None:
    seaweedfs.kill()
    with pytest.raises(StorageError, match="out of reach"):
        fetch_image(original, TARGET)


@pytest.mark.django_db
def test_the_stages_are_a_chain_of_jobs_on_their_queues() -> None:
    process_image(SOURCE, TARGET, signature("tests.after"))
    job = Job.objects.get()
    assert (job.task, job.queue, job.args) == ("storage.image.fetch", "storage", [SOURCE, TARGET])
    assert job.options is not None
    # Celery keeps the links of a chain last first.
    following = [link["task"] for link in reversed(job.options["chain"])]
    assert following == ["storage.image.resize", "storage.image.upload", "tests.after"]
    assert resize_image.queue == "default"


def test_the_keys_of_work_are_below_one_prefix() -> None:
    assert pipeline.aside("posts/1/w320.webp") == "work/posts/1/w320.webp"
