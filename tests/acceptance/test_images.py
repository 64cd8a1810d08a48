"""A post's images through real workers: made small, shown, removed; and what survives a worker's death."""

from collections.abc import Callable

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from jobs.core.states import State
from jobs.models import Job
from posts import services
from posts.models import Post
from posts.services import Content
from tests.acceptance.engine import on_postgres, on_sqlite
from tests.acceptance.worker import Worker
from tests.databases import Database
from tests.posts.conftest import upload
from tests.storage.stores import Stores, stores
from tests.waiting import wait_for

__all__ = ["stores"]

pytestmark = pytest.mark.timeout(180)

StartWorker = Callable[..., Worker]
QUEUES = ["default", "storage", "indexing"]


@pytest.fixture
def to_stores(stores: Stores, settings: Settings) -> dict[str, str]:
    """The variables that lead a worker to the test's stores."""
    names = [f"{prefix}_{name}" for prefix in ("STORAGE", "ASSETS") for name in _SETTINGS]
    return {name: getattr(settings, name) for name in names}


_SETTINGS = ("ENDPOINT", "BUCKET", "ACCESS_KEY", "SECRET_KEY")


def written() -> Post:
    author = User.objects.create_user("ada@example.com")
    return services.create(author, Content("A night", "![](image:1)", [upload(), upload(90, 60)]), publish=True)


def are_ready(post: Post) -> bool:
    return all(image.is_ready for image in post.images.all())


@on_sqlite
def test_images_are_made_small_and_follow_their_post_into_the_public_and_out_of_it(
    database: Database, stores: Stores, to_stores: dict[str, str], start_worker: StartWorker
) -> None:
    post = written()
    start_worker(environment=to_stores, queues=QUEUES)
    wait_for(lambda: are_ready(post), 60, what="the variants")
    large, small = post.images.all()
    assert [len(image.variants) for image in (large, small)] == [3, 1]
    assert sorted(stores.keys("assets")) == sorted(one["key"] for image in (large, small) for one in image.variants)
    assert sorted(stores.keys()) == sorted([large.key, small.key])
    services.unpublish(post)
    wait_for(lambda: stores.keys("assets") == [], 60, what="the variants to be hidden")
    assert len(stores.keys()) == 6
    services.publish(post)
    wait_for(lambda: len(stores.keys()) == 2, 60, what="the variants to be shown")
    assert len(stores.keys("assets")) == 4
    services.delete(post)
    wait_for(lambda: stores.keys() == stores.keys("assets") == [], 60, what="the objects to go")


@on_postgres
def test_a_killed_worker_s_image_is_finished_by_another(
    database: Database, stores: Stores, to_stores: dict[str, str], start_worker: StartWorker
) -> None:
    post = written()
    fast = {**to_stores, "JOBS_LEASE_SECONDS": "3", "JOBS_LEASE_RENEW_SECONDS": "1", "JOBS_RESEND_SECONDS": "2"}
    first = start_worker(environment=fast, queues=QUEUES)
    wait_for(lambda: Job.objects.filter(task="storage.image.fetch", state=State.SUCCEEDED).exists(), 60)
    first.kill()
    start_worker(environment=fast, queues=QUEUES)
    wait_for(lambda: are_ready(post), 90, what="the variants")
    wait_for(lambda: sorted(stores.keys()) == sorted(image.key for image in post.images.all()), 30)
    assert len(stores.keys("assets")) == 4
