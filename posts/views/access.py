"""Who may change what."""

from collections.abc import Callable

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from accounts.models import User
from posts import queries
from posts.models import Post


def editable(request: HttpRequest, slug: str) -> Post:
    """Return a post that this visitor may change; see _permitted."""
    return _permitted(request, slug, queries.may_edit, "change")


def deletable(request: HttpRequest, slug: str) -> Post:
    """Return a post that this visitor may delete; see _permitted."""
    return _permitted(request, slug, queries.may_delete, "delete")


def _permitted(request: HttpRequest, slug: str, may: Callable[[User | AnonymousUser, Post], bool], act: str) -> Post:
    """Return a post with which this visitor may do something.

    Raises:
        Http404: there is none that they may see.
        PermissionDenied: they may see it, no more.
    """
    post = queries.visible(request.user, slug)
    if post is None:
        raise Http404("There is no such post, or not any more.")
    if not may(request.user, post):
        raise PermissionDenied(f"Only its author can {act} a post, and who has the permission posts.{act}_post.")
    return post
