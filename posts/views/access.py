"""Who may change what."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from posts import queries
from posts.models import Post


def editable(request: HttpRequest, slug: str) -> Post:
    """Return a post that this visitor may change.

    Raises:
        Http404: there is none that they may see.
        PermissionDenied: they may see it, and not change it.
    """
    post = _visible(request, slug)
    if not queries.may_edit(request.user, post):
        raise PermissionDenied("Only its author can change a post, and who has the permission posts.change_post.")
    return post


def deletable(request: HttpRequest, slug: str) -> Post:
    """Return a post that this visitor may delete.

    Raises:
        Http404: there is none that they may see.
        PermissionDenied: they may see it, and not delete it.
    """
    post = _visible(request, slug)
    if not queries.may_delete(request.user, post):
        raise PermissionDenied("Only its author can delete a post, and who has the permission posts.delete_post.")
    return post


def _visible(request: HttpRequest, slug: str) -> Post:
    post = queries.visible(request.user, slug)
    if post is None:
        raise Http404("There is no such post, or not any more.")
    return post
