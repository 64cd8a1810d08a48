"""What is done to a post with one button, and the preview of a text."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from posts import queries, services
from posts.markdown import render as markdown
from posts.models import MAX_TEXT
from posts.pictures import pictures
from posts.views.access import deletable, editable


@require_POST
def publish(request: HttpRequest, slug: str) -> HttpResponse:
    """Let everybody read it."""
    post = editable(request, slug)
    services.publish(post)
    messages.success(request, "Published. Everybody can read it now.")
    return redirect(post)


@require_POST
def unpublish(request: HttpRequest, slug: str) -> HttpResponse:
    """Make it a draft again."""
    post = editable(request, slug)
    services.unpublish(post)
    messages.success(request, "Taken back. It is a draft again, which readers cannot see.")
    return redirect(post)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask, then delete."""
    post = deletable(request, slug)
    if request.method != "POST":
        return render(request, "posts/delete.html", {"post": post, "images": post.images.count()})
    services.delete(post)
    messages.success(request, f"Deleted “{post.title}”.")
    return redirect("posts:mine")


@require_POST
@login_required
def preview(request: HttpRequest) -> HttpResponse:
    """Answer with a text as the page will show it."""
    post = queries.visible(request.user, request.POST.get("slug", ""))
    shown = pictures(post.images.all(), own=True) if post and queries.may_edit(request.user, post) else {}
    return HttpResponse(markdown(request.POST.get("text", "")[:MAX_TEXT], shown))
