"""What becomes of posts whose author is renamed or deleted: the search index and the stores follow."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from accounts import services as accounts
from accounts.models import User
from jobs.models import Job
from posts import services, tasks
from posts.models import Post
from search import indexing
from search.documents import kind
from search.searching import search
from tests.posts.conftest import upload
from tests.storage.stores import Stores

Write = Callable[..., Post]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few posts are several batches."""
    monkeypatch.setattr(tasks, "BATCH", 2)


def looked_at(name: str) -> set[str]:
    """Return what the search index is told to look at again, of a kind."""
    found = Job.objects.filter(task="search.index").values_list("args", flat=True)
    return {pk for of, pk in found if of == name}


def follow() -> None:
    """Do what the jobs would do."""
    for args in Job.objects.filter(task="posts.index_posts_of").values_list("args", flat=True):
        tasks.index_posts_of(*args)
    indexing.index(kind("post"), sorted(looked_at("post")))


def test_posts_are_found_by_the_new_name_of_their_author(ada: User, write: Write) -> None:
    posts = [write(f"Post {number}") for number in range(5)]
    follow()
    accounts.update_profile(ada, name="Augusta", language="en")
    follow()
    assert search("post", "Augusta").total == len(posts)
    assert search("post", "Ada").total == 0


def test_only_published_posts_of_this_author_are_looked_at(ada: User, bob: User, write: Write) -> None:
    published = [write(f"Post {number}") for number in range(3)]
    write("A draft", publish=False)
    services.create(bob, services.Content("T", "T"), publish=True)
    Job.objects.all().delete()
    assert tasks.index_posts_of(str(ada.pk)) == "3 posts"
    assert looked_at("post") == {str(post.pk) for post in published}


def test_another_language_alone_is_no_reason_to_index_posts(ada: User) -> None:
    accounts.update_profile(ada, name=ada.name, language="de")
    assert not Job.objects.filter(task="posts.index_posts_of").exists()


def test_the_admin_has_posts_follow_a_new_name(client: Client, ada: User) -> None:
    client.force_login(User.objects.create_superuser("root@example.com"))
    form = {"email": ada.email, "name": "Augusta", "language": "", "is_active": "on"}
    client.post(reverse("admin:accounts_user_change", args=[ada.pk]), form)
    assert Job.objects.get(task="posts.index_posts_of").args == [str(ada.pk)]


@pytest.mark.parametrize("way", ["one", "selected"])
def test_posts_of_a_deleted_author_go_with_their_objects_and_from_the_index(
    client: Client, ada: User, write: Write, stores: Stores, way: str
) -> None:
    client.force_login(User.objects.create_superuser("root@example.com"))
    posts = [write("One", uploads=[upload()]), write("Two")]
    key = posts[0].images.get().key
    follow()
    Job.objects.all().delete()
    if way == "one":
        client.post(reverse("admin:accounts_user_delete", args=[ada.pk]), {"post": "yes"})
    else:
        chosen = {"action": "delete_selected", "_selected_action": str(ada.pk), "post": "yes"}
        client.post(reverse("admin:accounts_user_changelist"), chosen)
    assert not User.objects.filter(pk=ada.pk).exists()
    assert (looked_at("user"), looked_at("post")) == ({str(ada.pk)}, {str(post.pk) for post in posts})
    assert key in Job.objects.get(task="storage.delete", args__0="content").args[1]
    follow()
    assert search("post", "").total == 0


def test_a_deletion_that_fails_leaves_everything(ada: User, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    Job.objects.all().delete()

    def fail(user: User) -> None:
        raise RuntimeError

    monkeypatch.setattr(User, "delete", fail)
    with pytest.raises(RuntimeError):
        accounts.delete(ada)
    assert Post.objects.filter(author=ada).exists()
    assert not Job.objects.exists()
