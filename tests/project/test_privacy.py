"""Pages for who is logged in are kept by nobody; those for everybody may be."""

import pytest
from django.test import Client

from accounts.models import User
from posts.models import Post

pytestmark = pytest.mark.django_db

PATHS = ["/", "/posts/", "/posts/mine/", "/posts/search/?q=x", "/posts/draft/", "/nowhere", "/admin/autocomplete/"]


@pytest.fixture
def author() -> User:
    author: User = User.objects.create_superuser("root@example.com")
    Post.objects.create(author=author, title="Draft", slug="draft")
    return author


@pytest.mark.parametrize("path", PATHS)
def test_nobody_keeps_what_somebody_is_shown_who_is_logged_in(client: Client, author: User, path: str) -> None:
    client.force_login(author)
    assert "no-store" in client.get(path)["Cache-Control"]


def test_what_everybody_is_shown_may_be_kept(client: Client) -> None:
    assert [client.get(path).get("Cache-Control") for path in ("/", "/posts/")] == [None, None]


def test_a_view_that_says_for_how_long_is_believed(client: Client, author: User) -> None:
    client.force_login(author)
    assert "no-store" not in client.get("/robots.txt").get("Cache-Control", "")
