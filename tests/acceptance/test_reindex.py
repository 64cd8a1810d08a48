"""A reindex whose worker is killed: another goes on with it, and what changed meanwhile is right after the swap."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.models import User
from jobs.core.states import State
from jobs.models import Job
from posts import services
from posts.models import Post
from posts.services import Content
from search import backends
from search.models import IndexAlias, Reindex
from search.searching import search
from search.tasks import reindex
from tests.acceptance.worker import Worker
from tests.databases import Database
from tests.waiting import wait_for

pytestmark = [pytest.mark.timeout(240), pytest.mark.parametrize("database", ["postgres"], indirect=True)]

#: So many that a worker is not done before it is killed.
POSTS = 1_500

#: Rescue comes after the lease.
QUICK = {"JOBS_LEASE_SECONDS": "3", "JOBS_RESEND_SECONDS": "2"}


def written() -> list[Post]:
    author = User.objects.create_user("ada@example.com", name="Ada")
    now = timezone.now()
    posts = [
        Post(author=author, title=f"Post {number}", text="harbour " * 50, slug=f"p-{number}", published_at=now)
        for number in range(POSTS)
    ]
    return Post.objects.bulk_create(posts)


def settled() -> bool:
    return not Job.objects.exclude(state=State.SUCCEEDED).exists()


def test_a_killed_reindex_goes_on(database: Database, start_worker: Callable[..., Worker]) -> None:
    first, second, *_ = written()
    job: Job = reindex.delay("posts").job
    worker = start_worker(queues=["indexing"], environment=QUICK)
    wait_for(lambda: Reindex.objects.filter(done__gt=0).exists(), 60, what="the first batch")
    worker.kill()
    run = Reindex.objects.get()
    assert (run.finished_at, run.done < POSTS) == (None, True)
    building = IndexAlias.objects.get(name="posts").staging
    # The run is past both of them.
    services.update(first, Content("Changed", "meanwhile"))
    services.delete(second)
    start_worker(queues=["indexing"], environment=QUICK)
    wait_for(settled, 120, what="the reindex and both changes")
    job.refresh_from_db()
    assert (job.attempt, Reindex.objects.get().pk) == (2, run.pk)
    # Begun anew, it would have been a generation later.
    assert IndexAlias.objects.get(name="posts").live == building
    backends.backend.cache_clear()
    assert [hit.document["id"] for hit in search("post", "meanwhile").hits] == [str(first.pk)]
    assert search("post", "").total == POSTS - 1
