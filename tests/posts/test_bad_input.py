"""What is wrong from the start: its job ends at once, or tries again where that can help, and names what is wrong."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from jobs.core.states import State
from jobs.models import Job
from posts import layout, services
from posts.models import Post
from posts.services import Content
from posts.tasks import write_sitemap
from search import backends, documents
from search.documents import IndexSettings, Kind
from search.tasks import index_document, reindex
from storage.tasks import delete, fetch_image, sweep_orphans
from tests.jobs.delivery import deliver
from tests.search.meilisearch import Meilisearch
from tests.servers import Valkey
from tests.storage.stores import Stores

KEY = layout.original(uuid.UUID(int=1), uuid.UUID(int=2), "jpg")


@pytest.fixture(autouse=True)
def letters(valkey: Valkey, db: None) -> None:
    """A job that gives up needs the broker for its letter."""


@pytest.fixture
def meilisearch(settings: Settings) -> Iterator[Meilisearch]:
    """The search server that the settings lead to."""
    backends.backend.cache_clear()
    with Meilisearch("a-key") as server:
        settings.MEILISEARCH_URL, settings.MEILISEARCH_API_KEY = server.url, "a-key"
        yield server
    backends.backend.cache_clear()


def ended(task: Any, *args: Any) -> tuple[str, str]:
    """Run a job once; return its state and what it says."""
    job: Job = task.delay(*args).job
    deliver(job)
    return job.state, job.last_error or ""


def declare(monkeypatch: pytest.MonkeyPatch, index: str, *ids: str) -> None:
    """Let the kind `odd` have documents of these ids, in this index."""
    kind = Kind(
        "odd",
        index,
        IndexSettings(searchable=("title",)),
        load=lambda wanted: [{"id": one, "title": "A title"} for one in wanted if one in ids],
        page=lambda after, limit: [one for one in sorted(ids) if one > after][:limit],
        count=lambda: len(ids),
    )
    monkeypatch.setitem(documents._kinds, "odd", kind)


# A store that is not as the settings say


@pytest.mark.parametrize(
    "task, args", [(delete, ("content", [KEY])), (fetch_image, (KEY, "posts/1/2")), (sweep_orphans, ())]
)
def test_a_missing_bucket(stores: Stores, settings: Settings, task: Any, args: tuple[Any, ...]) -> None:
    settings.STORAGE_BUCKET = "nowhere"
    state, said = ended(task, *args)
    assert state == State.DEAD
    assert "bucket nowhere at http" in said
    assert "does not exist" in said


def test_a_missing_bucket_for_the_sitemap(stores: Stores, settings: Settings) -> None:
    settings.ASSETS_BUCKET = "nowhere"
    state, said = ended(write_sitemap)
    assert (state, "bucket nowhere at http" in said) == (State.DEAD, True)


def test_wrong_credentials_of_a_store(stores: Stores, settings: Settings) -> None:
    settings.STORAGE_SECRET_KEY = "wrong-and-never-shown"  # noqa: S105 (it is none)
    state, said = ended(delete, "content", [KEY])
    assert state == State.DEAD
    assert "refuses our credentials" in said
    assert "wrong-and-never-shown" not in said


# A search server that refuses


def test_wrong_credentials_of_the_search_server(meilisearch: Meilisearch, settings: Settings) -> None:
    settings.MEILISEARCH_API_KEY = "wrong"
    state, said = ended(index_document, "post", str(uuid.uuid4()))
    assert (state, "invalid_api_key" in said) == (State.DEAD, True)


@pytest.mark.parametrize("task, args", [(index_document, ("odd", "a")), (reindex, ("odd",))])
def test_an_index_that_the_server_refuses(
    meilisearch: Meilisearch, monkeypatch: pytest.MonkeyPatch, task: Any, args: tuple[str, ...]
) -> None:
    declare(monkeypatch, "no such name!", "a")
    state, said = ended(task, *args)
    assert state == State.DEAD
    assert "invalid_index_uid" in said
    assert "no such name!" in said


def test_a_document_that_the_server_refuses_fails_alone(
    meilisearch: Meilisearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monkeypatch, "odd", "good", "b a d", "better")
    jobs = [index_document.delay("odd", key).job for key in ("good", "b a d", "better")]
    deliver(jobs[0])
    for job in jobs:
        job.refresh_from_db()
    assert [job.state for job in jobs] == [State.SUCCEEDED, State.DEAD, State.SUCCEEDED]
    assert "b a d" in jobs[1].last_error
    assert set(meilisearch.index("odd").documents) == {"good", "better"}


def test_a_search_server_that_is_away_is_tried_again(settings: Settings) -> None:
    backends.backend.cache_clear()
    settings.MEILISEARCH_URL = "http://127.0.0.1:9"
    state, said = ended(index_document, "post", str(uuid.uuid4()))
    backends.backend.cache_clear()
    assert (state, "cannot be reached" in said) == (State.RETRYING, True)


@pytest.mark.parametrize("task, args", [(index_document, ("nonsense", "1")), (reindex, ("nonsense",))])
def test_a_kind_that_nobody_declared(task: Any, args: tuple[str, ...]) -> None:
    state, said = ended(task, *args)
    assert (state, "'nonsense'" in said) == (State.DEAD, True)


@pytest.mark.parametrize("kind", ["post", "user"])
def test_an_id_that_is_none(kind: str) -> None:
    state, said = ended(index_document, kind, "not-an-id")
    assert (state, "not-an-id" in said) == (State.DEAD, True)


def test_an_id_that_is_none_keeps_no_other_from_the_index(meilisearch: Meilisearch) -> None:
    author = User.objects.create_user("ada@example.com", email_verified_at=timezone.now())
    post = services.create(author, Content("T", "T"), publish=True)
    wrong, right = index_document.delay("post", "not-an-id").job, Job.objects.get(args__1=str(post.pk))
    deliver(wrong)
    right.refresh_from_db()
    assert (wrong.state, right.state) == (State.DEAD, State.SUCCEEDED)
    assert set(meilisearch.index("posts").documents) == {str(post.pk)}


# Objects that are none, or gone


def test_an_image_that_is_none(stores: Stores) -> None:
    stores.content.put(KEY, b"no image", content_type="image/jpeg")
    state, said = ended(fetch_image, KEY, "posts/1/2")
    assert state == State.DEAD
    assert "no image we know" in said


@pytest.mark.parametrize("key", ["../secret", "posts/../../etc/passwd", "posts//x", "/posts/x", "posts/a\nb", "a\\b"])
def test_a_key_that_no_store_may_hold(stores: Stores, key: str) -> None:
    for task, args in ((delete, ("content", [key])), (fetch_image, (KEY, key))):
        state, said = ended(task, *args)
        assert state == State.DEAD
        assert ascii(key)[1:-1] in said


@pytest.mark.parametrize("key", ["posts/ä ö/ü", "posts/a+b&c=d?e#f%20", "posts/日本", 'posts/"<>'])
def test_a_key_with_odd_characters_is_deleted_like_any(stores: Stores, key: str) -> None:
    stores.content.put(key, b"x", content_type="image/webp")
    assert ended(delete, "content", [key])[0] == State.SUCCEEDED
    assert stores.keys() == []


def test_a_post_deleted_before_its_jobs_ran(stores: Stores) -> None:
    author = User.objects.create_user("ada@example.com", email_verified_at=timezone.now())
    post = services.create(author, Content("T", "T"), publish=True)
    job = Job.objects.get(task="search.index")
    Post.objects.filter(pk=post.pk).delete()
    deliver(job)
    assert job.state == State.SUCCEEDED
    state, said = ended(fetch_image, KEY, "posts/1/2")
    assert (state, KEY in said) == (State.CANCELLED, True)
