"""Pages for readers."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_safe

from accounts.models import User
from posts import queries
from posts.markdown import Picture
from posts.models import Post
from posts.pictures import picture, pictures


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show what everybody may read, the newest first."""
    page = queries.published(request.GET.get("before", ""))
    return render(request, "posts/list.html", {"page": page, "covers": covers(page.posts)})


@require_safe
@login_required
def mine(request: HttpRequest) -> HttpResponse:
    """Show an author everything they wrote."""
    page = queries.own(cast("User", request.user), request.GET.get("before", ""))
    return render(request, "posts/mine.html", {"page": page, "covers": covers(page.posts, own=True)})


@require_safe
def show(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one post; a draft only to those who may see it."""
    post = queries.visible(request.user, slug)
    if post is None:
        raise Http404("There is no such post, or not any more.")
    images = list(post.images.all())
    may_edit = queries.may_edit(request.user, post)
    shown = pictures(images, own=may_edit)
    response = render(
        request,
        "posts/show.html",
        {
            "post": post,
            "text": post.shown(shown),
            "gallery": [shown[number].html() for number in shown if number not in post.placed],
            "pending": sum(image.is_pending for image in images),
            "refused": [image for image in images if image.problem],
            "may_edit": may_edit,
            "may_delete": queries.may_delete(request.user, post),
        },
    )
    if not post.is_published:
        add_never_cache_headers(response)
    return response


def covers(posts: list[Post], *, own: bool = False) -> dict[object, Picture]:
    """Return the first image of each post that has one."""
    found: dict[object, Picture] = {}
    for post in posts:
        first = next(iter(post.images.all()), None)
        if first and (shown := picture(first, own=own)):
            found[post.pk] = shown
    return found
