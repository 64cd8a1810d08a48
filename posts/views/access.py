"""Who may change what."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from posts import queries
from posts.models import Post


def editable(request: HttpRequest, slug: str) -> Post:
    """Return a post that this visitor may change.

    Raises:
        Http404: there is none that they may see.
        PermissionDenied: they may read it, no more.
    """
    post = queries.visible(request.user, slug)
    if post is None:
        raise Http404("There is no such post, or not any more.")
    if not queries.may_edit(request.user, post):
        raise PermissionDenied("Only its author can change a post.")
    return post
