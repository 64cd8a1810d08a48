"""Pages for authors."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import User
from posts import services
from posts.forms import PostForm
from posts.models import Post
from posts.pictures import pictures
from posts.views.access import editable
from storage.errors import StorageError


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Write a post."""
    form = PostForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            post = services.create(cast("User", request.user), form.content(), publish=_publishes(request))
        except StorageError as exc:
            _explain(form, exc)
        else:
            return _saved(request, post)
    return render(request, "posts/write.html", {"form": form})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a post."""
    post = editable(request, slug)
    images = list(post.images.all())
    form = PostForm(
        request.POST or None,
        request.FILES or None,
        existing=images,
        initial={"title": post.title, "text": post.text},
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.update(post, form.content(), publish=_publishes(request))
        except StorageError as exc:
            _explain(form, exc)
        except Post.DoesNotExist as exc:
            raise Http404("The post was deleted meanwhile.") from exc
        else:
            return _saved(request, post)
    return render(request, "posts/write.html", {"form": form, "post": post, "pictures": pictures(images, own=True)})


def _publishes(request: HttpRequest) -> bool:
    return request.POST.get("then") == "publish"


def _explain(form: PostForm, error: StorageError) -> None:
    """Say what became of the images; the text is still in the form."""
    form.add_error(
        "images",
        "The images could not be stored, so nothing was saved. "
        + ("Somebody has to mend the store's settings first." if error.permanent else "Try again in a minute, ")
        + ("" if error.permanent else "and choose the files again; your text is still here."),
    )


def _saved(request: HttpRequest, post: Post) -> HttpResponse:
    saved = "Saved." if post.is_published else "Draft saved."
    messages.success(request, "Published." if _publishes(request) else saved)
    return redirect(post)
